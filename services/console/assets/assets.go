// Package assets are the files that the console's pages use: styles, scripts, and the libraries in vendor, which come unchanged from their makers (see
// vendor/LICENSES.txt).
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed *.css *.js *.svg vendor
var embedded embed.FS

// Files serves them under addresses that hold a hash of them all, so that a browser keeps them until they change. It is safe for concurrent use.
type Files struct {
	prefix, hash string
	files        http.Handler
}

// New prepares to serve them under a prefix, which ends in a slash.
func New(prefix string) (*Files, error) {
	sum := sha256.New()
	err := fs.WalkDir(embedded, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(path)
		sum.Write([]byte(path))
		sum.Write(data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("assets: %w", err)
	}
	const digits = 12
	hash := hex.EncodeToString(sum.Sum(nil))[:digits]
	prefix += hash + "/"
	return &Files{prefix: prefix, hash: hash, files: http.StripPrefix(prefix, http.FileServerFS(embedded))}, nil
}

// Path is the address of a file.
func (f *Files) Path(name string) string { return f.prefix + name }

// ServeHTTP answers with a file.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, f.prefix) || strings.HasSuffix(r.URL.Path, "/") {
		http.NotFound(w, r)
		return
	}
	if _, err := fs.Stat(embedded, strings.TrimPrefix(r.URL.Path, f.prefix)); err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("ETag", `W/"`+f.hash+`"`) // weak, since it holds for the compressed file, too
	f.files.ServeHTTP(w, r)
}
