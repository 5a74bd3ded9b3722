package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/chatload"
	"github.com/skein-cx/skein/tools/corpora"
)

// perVisitor is how many conversations of the corpus one visitor has.
const perVisitor = 5

// utterance is a message of a real conversation.
type utterance struct {
	conversation int
	text         string
	chinese      bool
}

// readCorpus reads real conversations, English and Chinese ones: MultiDoGO's and CrossWOZ's. errLeftOut says that they are not there.
func readCorpus(dir string) ([]utterance, error) {
	english, chinese := filepath.Join(dir, "multidogo", "multidogo.tar.xz"), filepath.Join(dir, "crosswoz", "crosswoz.tar.xz")
	for _, p := range []string{english, chinese} {
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("%w: %s is not there", errLeftOut, p)
		}
	}
	chats, err := chatload.Read(english, 0)
	if err != nil {
		return nil, err
	}
	var all []utterance
	for n, c := range chats {
		for _, m := range c.Messages {
			all = append(all, utterance{n, m.Text, false})
		}
	}
	dialogues, err := corpora.Read(corpora.CrossWOZ, chinese)
	for n := range dialogues {
		for _, turn := range dialogues[n].Turns {
			all = append(all, utterance{len(chats) + n, turn.Text, true})
		}
	}
	return all, err
}

// visitor is the address of one who wrote.
func visitor(n int) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprintf("v-%09d", n)}
}

// submission is message n of the corpus as a chat hands it in.
func (u utterance) submission(n int, at time.Time) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		OccurredAt: timestamppb.New(at), Provider: "bench", Inbox: "web", Thread: fmt.Sprintf("c-%d", u.conversation), NativeId: fmt.Sprintf("u-%d", n),
		Parties: []*eventv1.SubmittedParty{
			{Address: visitor(u.conversation / perVisitor), Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER},
		},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: u.text}}},
	}
}
