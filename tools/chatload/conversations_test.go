package chatload_test

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/skein-cx/skein/tools/chatload"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// archive packs files as the data set is packed.
func archive(t *testing.T, files [][2]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.tar.xz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := xz.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(packed)
	for _, file := range files {
		if err := w.WriteHeader(&tar.Header{Name: file[0], Mode: 0o600, Size: int64(len(file[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, file[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

const head = "conversationId\tturnNumber\tsentenceNumber\tutteranceId\tutterance\tslot-labels\tintent\n"

func TestConversationsAreReadAsTheyStand(t *testing.T) {
	path := archive(t, [][2]string{
		{"x/README.md", "not this"},
		{"x/splits_annotated_at_sentence_level/a/train.tsv", head +
			"one\t0\t0\tu\thi there\tO name\tgreeting\n" +
			"one\t0\t1\tu\t\"two\nlines \"\"quoted\"\"\"\tO\tcontentonly\n" +
			"two\t0\t0\tu\t \tO\tcontentonly\n" +
			"two\t2\t0\tu\tan 8\" pizza\tO\tcontentonly\n"},
		{"x/splits_annotated_at_sentence_level/b/dev.tsv", head +
			"one\t4\t0\tu\tlater\tO\tcontentonly\n" +
			"three\t0\t0\tu\tone too many\tO\tcontentonly\n"},
	})
	got, err := chatload.Read(path, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := []chatload.Conversation{
		{ID: "one", Messages: []chatload.Message{{ID: "t0-s0", Text: "hi there"}, {ID: "t0-s1", Text: "two\nlines \"quoted\""}, {ID: "t4-s0", Text: "later"}}},
		{ID: "two", Messages: []chatload.Message{{ID: "t2-s0", Text: "an 8\" pizza"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %q", got)
	}
	if _, err := chatload.Read(path, 6); err == nil || !strings.Contains(err.Error(), "holds 5 messages only") {
		t.Errorf("error %v", err)
	}
}

func TestTheWholeDataSetIsRead(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "multidogo", "multidogo.tar.xz")
	_, err := os.Stat(path)
	skeintest.Require(t, "data", err == nil, path+" is not there")
	const all = 121_000
	conversations, err := chatload.Read(path, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d conversations", len(conversations))
	uuid, id := regexp.MustCompile(`^[0-9a-f-]{36}$`), regexp.MustCompile(`^t\d+-s\d+$`)
	messages := 0
	for _, c := range conversations {
		known := map[string]bool{}
		for _, m := range c.Messages {
			if !id.MatchString(m.ID) || known[m.ID] {
				t.Errorf("conversation %s holds %q twice, or it is none", c.ID, m)
			}
			known[m.ID] = true
		}
		if messages += len(c.Messages); !uuid.MatchString(c.ID) {
			t.Errorf("conversation %q", c.ID)
		}
	}
	if messages != all {
		t.Errorf("%d messages", messages)
	}
}
