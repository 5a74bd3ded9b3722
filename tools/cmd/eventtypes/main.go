// Command eventtypes writes what follows from the registry of event types, proto/skein/event/v1/types.yaml: the
// constants and the table of pkg/event, and docs/events.md, for which it also reads the protos and their comments.
//
// Run it from the root of the repository: go run ./tools/cmd/eventtypes
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const (
	registryPath = "proto/skein/event/v1/types.yaml"
	goPath       = "pkg/event/types_gen.go"
	docsPath     = "docs/events.md"
)

func main() {
	if err := run(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "eventtypes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string) error {
	code, docs, err := generate(ctx, root)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(root, goPath), code); err != nil {
		return err
	}
	return write(filepath.Join(root, docsPath), docs)
}

// generate gives the contents of goPath and docsPath.
func generate(ctx context.Context, root string) (code, docs []byte, err error) {
	data, err := os.ReadFile(filepath.Join(root, registryPath))
	if err != nil {
		return nil, nil, err
	}
	groups, err := readRegistry(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", registryPath, err)
	}
	content, err := readContent(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	if err := bind(groups, content); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", registryPath, err)
	}
	code, err = goSource(groups)
	if err != nil {
		return nil, nil, err
	}
	return code, markdown(groups), nil
}

// write leaves a file alone that holds the data already, so that nothing is built anew for it.
func write(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // sources are readable for everybody
}
