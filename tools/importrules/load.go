package importrules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Load reads the imports of every file of every module of the workspace, whatever its build tags.
func Load(ctx context.Context, root string) ([]File, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "work")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	listed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("importrules: go list work: %w: %s", err, stderr.String())
	}
	var files []File
	for packages := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p struct {
			ImportPath, Dir                                              string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, fmt.Errorf("importrules: read what go list says: %w", err)
		}
		for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles} {
			for _, name := range names {
				f, err := read(root, filepath.Join(p.Dir, name))
				if err != nil {
					return nil, err
				}
				f.Package = p.ImportPath
				files = append(files, f)
			}
		}
	}
}

func read(root, path string) (File, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return File{}, fmt.Errorf("importrules: %w", err)
	}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return File{}, fmt.Errorf("importrules: %w", err)
	}
	f := File{Path: filepath.ToSlash(relative), Name: parsed.Name.Name, Test: strings.HasSuffix(path, "_test.go")}
	for _, i := range parsed.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("importrules: %s: %w", f.Path, err)
		}
		f.Imports = append(f.Imports, imported)
	}
	return f, nil
}
