package conversation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/directory"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

// books are the same directory for every tenant, and never another one.
type books struct{ book *directory.Book }

func (b books) Book(context.Context, string) (*directory.Book, error) { return b.book, nil }

func (books) Changed() <-chan struct{} { return nil }

func TestATransferToATeamGoesIntoTheQueueThatTheDirectoryNamesForIt(t *testing.T) {
	w := newWorld(t, memory())
	team := func(queue string) []directory.Version {
		return []directory.Version{{Stated: &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Queue: queue}}}}}
	}
	w.server = conversation.NewServer(conversation.ServerConfig{
		Conversations: w.conversations, Submitter: w.intake, Keyring: w.keyring, Tokens: w.tokens, Now: w.now,
		Books: books{directory.NewBook(map[string]map[string][]directory.Version{directory.Team: {"second": team("hard"), "idle": team("")}})},
	})
	w.live(t)
	id, ctx := begun(t, w, "a"), caller()
	resp, err := w.server.Transfer(ctx, &conversationv1.TransferRequest{Command: command(id, "1"), Team: "second"})
	i := answered(t, resp, err)
	expect(t, "queue", i.GetQueue(), "hard")
	for team, says := range map[string]string{"third": "no such team", "idle": "names no queue"} {
		_, err := w.server.Transfer(ctx, &conversationv1.TransferRequest{Command: command(id, "2"), Team: team})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("into the team %s: %v", team, err)
		}
	}
}
