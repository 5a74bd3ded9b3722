package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/skein-cx/skein/pkg/blob"
)

func open(t *testing.T, url string) *blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestWhatWasPutIsReadBackFromMemoryAndFromAFolder(t *testing.T) {
	dir := t.TempDir()
	for name, url := range map[string]string{"memory": "mem://", "folder": "file://" + filepath.ToSlash(dir) + "?no_tmp_dir=true&metadata=skip"} {
		t.Run(name, func(t *testing.T) {
			s := open(t, url)
			ref, err := s.Put(t.Context(), "acme", "thread", "text/plain", strings.NewReader("你好"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Get(t.Context(), ref)
			if err != nil || string(got) != "你好" || ref.GetSize() != 6 || !strings.HasPrefix(ref.GetKey(), "acme/thread/") {
				t.Errorf("%q of %v, %v", got, ref, err)
			}
			ref.Key += "0"
			if _, err := s.Get(t.Context(), ref); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("a key that is not there: %v", err)
			}
		})
	}
}

func TestADamagedBlobIsNotGivenOut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+filepath.ToSlash(dir)+"?no_tmp_dir=true&metadata=skip")
	ref, err := s.Put(t.Context(), "acme", "thread", "", strings.NewReader("true"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ref.GetKey()), []byte("lies"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, blob.ErrDamaged) || !blob.Lost(err) {
		t.Errorf("got %v", err)
	}
}

// After a power cut a file may stand there with none of its bytes, or with some.
func TestATornBlobIsWrittenAnewWhenItComesAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+filepath.ToSlash(dir)+"?no_tmp_dir=true&metadata=skip")
	for _, torn := range []string{"", "tr"} {
		ref, err := s.Put(t.Context(), "acme", "thread", "", strings.NewReader("true"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ref.GetKey()), []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), "acme", "thread", "", strings.NewReader("true")); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), ref); err != nil || string(got) != "true" {
			t.Errorf("behind %q it holds %q, %v", torn, got, err)
		}
	}
}

func TestTooLargeAndBrokenReadersAreRefused(t *testing.T) {
	s := open(t, "mem://")
	if _, err := s.Put(t.Context(), "acme", "thread", "", io.LimitReader(zeros{}, blob.MaxSize+1)); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	broken := errors.New("cut off")
	if _, err := s.Put(t.Context(), "acme", "thread", "", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
