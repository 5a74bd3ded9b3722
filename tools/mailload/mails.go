// Package mailload sends many real mails through SMTP, and checks that each stands once where it belongs.
package mailload

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// Read reads every file of a folder or tar.xz archive that looks like a mail: with a data folder, those in it.
func Read(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var mails [][]byte
	add := func(name string, r io.Reader) error {
		if !strings.Contains(filepath.ToSlash(name), "/data/") || filepath.Ext(name) != ".txt" || strings.HasPrefix(filepath.Base(name), "file_list") {
			return nil
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		mails = append(mails, withoutMboxLine(raw))
		return nil
	}
	if info.IsDir() {
		folder := os.DirFS(path)
		err = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			f, err := folder.Open(name)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			return add(filepath.Join(path, name), f)
		})
	} else {
		err = readArchive(path, add)
	}
	if err == nil && len(mails) == 0 {
		err = fmt.Errorf("%s holds no mails: files data/**/*.txt are meant", path)
	}
	return mails, err
}

func readArchive(path string, add func(string, io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	unpacked, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", path, err)
	}
	archive := tar.NewReader(unpacked)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := add(h.Name, archive); err != nil {
				return err
			}
		}
	}
}

// withoutMboxLine drops the line that begins a mail in an mbox file: no mail server would send it.
func withoutMboxLine(raw []byte) []byte {
	if bytes.HasPrefix(raw, []byte("From ")) {
		if _, rest, ok := bytes.Cut(raw, []byte("\n")); ok {
			return rest
		}
	}
	return raw
}
