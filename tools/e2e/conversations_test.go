package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/mailload"
)

// conversationSizes are how many mails each conversation holds, in ascending order.
func (d *desk) conversationSizes() []int {
	d.t.Helper()
	mails := map[string]int{}
	req := &conversationv1.ListRequest{PageSize: 500, Filter: &conversationv1.Filter{Statuses: []conversationv1.WorkStatus{
		conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_CLOSED,
	}}}
	for {
		page := got(d, d.conversations.List, req)
		for _, w := range page.GetWork() {
			mails[w.GetConversationId()] += int(w.GetInteraction().GetMessagesIn() + w.GetInteraction().GetMessagesOut())
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	sizes := make([]int, 0, len(mails))
	for _, n := range mails {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	return sizes
}

// The conversations of real mails are the components of their graph of references, as a separate program finds them.
func TestTheConversationsOfRealMailsAreTheComponentsOfTheirReferences(t *testing.T) {
	t.Parallel()
	archive := filepath.Join("..", "..", "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz")
	_, err := os.Stat(archive)
	skeintest.Require(t, "data", err == nil, "it is not there: "+archive)
	python, err := exec.LookPath("python3")
	skeintest.Require(t, "python", err == nil, "there is no python3")
	mails, err := mailload.Read(archive)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for i, raw := range mails {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%05d.eml", i)), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("..", "mailgraph.py"), archive).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []int
	for component := range strings.Lines(string(out)) {
		want = append(want, len(strings.Fields(component)))
	}
	slices.Sort(want)

	s := newSite(t)
	srv := s.Up()
	s.Run("import", "--data", s.Dir, "--inbox", "support", "--format", "mail", "--quiet", folder)
	srv.WaitFor("folding everything", func() bool { return foldedAll(s) })
	d := newDesk(s)
	var sizes []int
	srv.WaitFor(fmt.Sprintf("joining the mails into %d conversations", len(want)), func() bool {
		sizes = d.conversationSizes()
		return len(sizes) == len(want)
	})
	if !slices.Equal(sizes, want) {
		t.Errorf("the conversations have %v mails, and the components %v", sizes[len(sizes)-20:], want[len(want)-20:])
	}
}
