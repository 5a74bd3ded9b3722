// Command dashboards writes the Grafana dashboards of deploy/grafana/dashboards.
//
// Run it from the root of the repository: go run ./tools/cmd/dashboards
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/skein-cx/skein/tools/dashboards"
)

const dir = "deploy/grafana/dashboards"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run() error {
	files, err := dashboards.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.JSON, 0o644); err != nil { //nolint:gosec // anybody may read it
			return err
		}
	}
	return nil
}
