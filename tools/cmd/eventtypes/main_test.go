package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

func TestWhatIsCheckedInIsFresh(t *testing.T) {
	code, docs, err := generate(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{goPath: code, docsPath: docs} {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): go run ./tools/cmd/eventtypes", path, err)
		}
	}
}

func TestARegistryThatDoesNotFitTheProtosIsRefused(t *testing.T) {
	content, err := readContent(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"groups: [":                     "yaml",
		"groups: [{name: A, topic: x}]": `unknown topic "x"`,
		"groups: [{name: A, topic: links, types: [a]}]":                                                                "must map",
		"groups: [{name: A, topic: links, types: {a.b: ''}}]":                                                          `no field "a_b"`,
		"groups: [{name: A, topic: links, types: {note.added: ''}}, {name: B, topic: links, types: {note.added: ''}}]": "of its own",
		"groups: [{name: A, topic: links, types: {note.added: ''}}]":                                                   "belongs to no type",
	} {
		groups, err := readRegistry([]byte(text))
		if err == nil {
			err = bind(groups, content)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something about %q", text, err, want)
		}
	}
}
