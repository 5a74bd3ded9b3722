package dashboards_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/skein-cx/skein/tools/dashboards"
)

const dir = "../../deploy/grafana/dashboards"

func TestTheDashboardsInTheRepositoryAreThoseThatAreMade(t *testing.T) {
	files, err := dashboards.Files()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		if is, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || !bytes.Equal(is, f.JSON) {
			t.Errorf("%s is stale: make generate writes it again (%v)", f.Name, err)
		}
	}
	there, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if !slices.Contains(names, filepath.Base(path)) {
			t.Errorf("nothing makes %s", path)
		}
	}
}

// model is what Grafana needs to find in a dashboard.
type model struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct{ Name, Query string }
	} `json:"templating"`
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ RawSQL, Expr string }
	} `json:"panels"`
}

var variable = regexp.MustCompile(`\$\{(\w+)(?::\w+)?\}`)

func TestPanelsFillTheirRowsAndNameOnlyVariablesThatAreThere(t *testing.T) {
	files, err := dashboards.Files()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, f := range files {
		var d model
		if err := json.Unmarshal(f.JSON, &d); err != nil {
			t.Fatal(f.Name, err)
		}
		if ids[d.UID] || d.UID == "" {
			t.Errorf("%s: its uid %q is none of its own", f.Name, d.UID)
		}
		ids[d.UID] = true
		known := map[string]bool{}
		names := func(text, in string) {
			for _, v := range variable.FindAllStringSubmatch(text, -1) {
				if !known[v[1]] {
					t.Errorf("%s, %s: there is no variable %s", f.Name, in, v[1])
				}
			}
		}
		for _, v := range d.Templating.List {
			names(v.Query, v.Name) // it may use those before it
			known[v.Name] = true
		}
		widths := map[int]int{}
		for _, p := range d.Panels {
			widths[p.GridPos.Y] += p.GridPos.W
			for _, target := range p.Targets {
				names(target.RawSQL+target.Expr, p.Title)
			}
		}
		for y, width := range widths {
			if width != 24 {
				t.Errorf("%s: the panels at %d are %d of 24 wide", f.Name, y, width)
			}
		}
	}
}
