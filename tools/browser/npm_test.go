package browser_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// module reads a file of an npm package of package-lock.json. The first time, npm fetches them into the user's cache; where it cannot, the test
// is skipped.
func module(t *testing.T, path string) []byte {
	t.Helper()
	dir, err := modules()
	skeintest.Require(t, "npm", err == nil, fmt.Sprint("the packages of tools/browser/package.json cannot be fetched: ", err))
	data, err := os.ReadFile(filepath.Join(dir, "node_modules", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var modules = sync.OnceValues(func() (dir string, err error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir = filepath.Join(cache, "skein", "npm-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "npm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	for _, name := range []string{"package.json", "package-lock.json"} {
		if data, err := os.ReadFile(name); err != nil {
			return "", err
		} else if err := os.WriteFile(filepath.Join(fresh, name), data, 0o600); err != nil {
			return "", err
		}
	}
	ci := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	ci.Dir = fresh
	if out, err := ci.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // another process may have been faster
			return "", err
		}
	}
	return dir, nil
})
