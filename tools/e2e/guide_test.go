package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// What the examples of the guides are run with, beside Go.
const (
	pythonPackages = "grpcio==1.85.1 grpcio-tools==1.85.1 " + pythonClickHouse
	typeScript     = "tsx@4.23.15"
)

// behind is how long after its first answer an example may say something else than the guide shows.
const behind = 15 * time.Second

// block is a piece of code of a guide, and what it says below, where the guide shows that.
type block struct {
	line       int
	language   string
	code, says string
}

// blocks are those of a guide, in order. What stands in a block of text right behind one is what that one says.
func blocks(guide string) (all []block) {
	var open *block
	for i, line := range strings.Split(guide, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{line: i + 1, language: fence}
		case isFence:
			if open.language == "text" {
				if len(all) > 0 {
					all[len(all)-1].says = open.code
				}
			} else {
				all = append(all, *open)
			}
			open = nil
		case open != nil:
			open.code += line + "\n"
		}
	}
	return all
}

// guide runs the examples of a document, one after the other, as its reader does: in the root of the project.
type guide struct {
	t      *testing.T
	root   string
	site   *skeintest.Site
	python []string // environment in which the examples' packages are found; nil until they are there
	tsx    string
}

// run runs an example until it says what the guide shows: what it reads may be a moment behind.
func (g *guide) run(b block) {
	g.t.Helper()
	code := strings.NewReplacer("127.0.0.1:7070", g.site.GRPC, "127.0.0.1:7080", g.site.HTTP, "127.0.0.1:7123", g.site.ClickHouse,
		"port=7123", "port="+strings.TrimPrefix(g.site.ClickHouse, "127.0.0.1:"), "bin/skein", g.site.Binary).Replace(b.code)
	dir := g.t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
			g.t.Fatal(err)
		}
		return path
	}
	var args, env []string
	switch b.language {
	case "sh":
		_, err := os.Stat(filepath.Join(g.root, "bin", "grpcurl"))
		skeintest.Require(g.t, "grpcurl", err == nil, "make tools puts it into bin/")
		args, env = []string{"sh", "-e", write("example.sh")}, []string{"SKEIN_SERVER=" + g.site.GRPC}
	case "go":
		args = []string{"go", "run", "-trimpath", write("main.go")} // it shares what was compiled for the tests
	case "python":
		args, env = []string{"python3", write("example.py")}, g.pythonEnv()
	case "ts":
		args = []string{g.typeScript(), write("example.mts")}
	default:
		g.t.Fatalf("line %d: nobody knows how to run %q", b.line, b.language)
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), 2*time.Minute)
	defer cancel()
	var said string
	for began := time.Now(); ctx.Err() == nil && (said == "" || time.Since(began) < behind); {
		var out, complaints bytes.Buffer
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.root, append(os.Environ(), env...), &out, &complaints
		err := cmd.Run()
		if said == "" {
			began = time.Now()
		}
		said = out.String() + complaints.String()
		if err == nil && shows(b.says, out.String()) {
			return
		}
		if err != nil && b.says == "" {
			break
		}
		select {
		case <-time.After(200 * time.Millisecond): // what it reads is a moment behind
		case <-ctx.Done():
		}
	}
	g.t.Fatalf("line %d: the example says\n%s\nand the guide shows\n%s", b.line, said, b.says)
}

// shows tells whether a program said what a guide shows: "…" stands for anything.
func shows(guide, said string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(guide)), "…", "(?s:.*?)")
	return regexp.MustCompile(pattern).MatchString(said)
}

func (g *guide) pythonEnv() []string {
	g.t.Helper()
	if g.python != nil {
		return g.python
	}
	packages := g.t.TempDir()
	pip := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target", packages}, strings.Fields(pythonPackages)...)
	out, err := exec.CommandContext(g.t.Context(), "python3", pip...).CombinedOutput()
	skeintest.Require(g.t, "python", err == nil, fmt.Sprintf("pip cannot install %s: %s", pythonPackages, out))
	g.python = []string{"PYTHONPATH=" + packages}
	return g.python
}

func (g *guide) typeScript() string {
	g.t.Helper()
	if g.tsx == "" {
		dir := g.t.TempDir()
		out, err := exec.CommandContext(g.t.Context(), "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", typeScript).CombinedOutput()
		skeintest.Require(g.t, "npm", err == nil, fmt.Sprintf("npm cannot install %s: %s", typeScript, out))
		g.tsx = filepath.Join(dir, "node_modules", ".bin", "tsx")
	}
	return g.tsx
}

func TestTheExamplesOfTheGuideForTeamsThatIntegrateWork(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "integrate.md"))
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{t: t, root: root, site: newSite(t)}
	g.site.Up()
	languages := map[string]int{}
	for _, b := range blocks(string(text)) {
		g.run(b)
		languages[b.language]++
	}
	for _, l := range []string{"sh", "go", "python", "ts"} {
		if languages[l] == 0 {
			t.Errorf("there is no example in %s", l)
		}
	}
}
