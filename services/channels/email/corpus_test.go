package email_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// realMail is a mail of the SpamAssassin public corpus.
type realMail struct {
	name string
	raw  []byte
}

// corpus reads the mails in the order of their names. Without the data the test is skipped, unless the environment says
// that it must be there.
func corpus(tb testing.TB) []realMail {
	tb.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		tb.Fatal(err)
	}
	for !exists(filepath.Join(root, "go.work")) && root != filepath.Dir(root) {
		root = filepath.Dir(root)
	}
	path := filepath.Join(root, "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz")
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !strings.Contains(os.Getenv("SKEIN_REQUIRE"), "data") {
		tb.Skipf("skipped: the mails of ../shared/data/spamassassin-public-corpus are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	unpacked, err := xz.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var mails []realMail
	for archive := tar.NewReader(unpacked); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		folder, file := filepath.Split(entry.Name)
		if entry.Typeflag != tar.TypeReg || filepath.Ext(file) != ".txt" || !strings.Contains(folder, "data/") || filepath.Base(folder) == "data" {
			continue
		}
		raw, err := io.ReadAll(archive)
		if err != nil {
			tb.Fatal(err)
		}
		mails = append(mails, realMail{filepath.Base(folder) + "/" + file, raw})
	}
	slices.SortFunc(mails, func(a, b realMail) int { return strings.Compare(a.name, b.name) })
	return mails
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
