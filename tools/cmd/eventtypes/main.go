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
)

const (
	registryPath = "proto/skein/event/v1/types.yaml"
	goPath       = "pkg/event/types_gen.go"
	docsPath     = "docs/events.md"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "eventtypes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	data, err := os.ReadFile(registryPath)
	if err != nil {
		return err
	}
	groups, err := readRegistry(data)
	if err != nil {
		return fmt.Errorf("%s: %w", registryPath, err)
	}
	content, err := readContent(ctx)
	if err != nil {
		return err
	}
	if err := bind(groups, content); err != nil {
		return fmt.Errorf("%s: %w", registryPath, err)
	}
	code, err := goSource(groups)
	if err != nil {
		return err
	}
	if err := write(goPath, code); err != nil {
		return err
	}
	return write(docsPath, markdown(groups))
}

// write leaves a file alone that holds the data already, so that nothing is built anew for it.
func write(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) { //nolint:gosec // a path of this program
		return nil
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // sources are readable for everybody
}
