package bench

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ulikunitz/xz"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/chatload"
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
	more, err := readCrossWOZ(chinese, len(chats))
	return append(all, more...), err
}

// readCrossWOZ reads the dialogues of the archives in an archive, and numbers them.
func readCrossWOZ(archive string, first int) ([]utterance, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	unpacked, err := xz.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", archive, err)
	}
	var all []utterance
	for files := tar.NewReader(unpacked); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", archive, err)
		}
		if !strings.HasSuffix(h.Name, ".json.zip") {
			continue
		}
		dialogues, err := readDialogues(files)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", h.Name, err)
		}
		for _, name := range slices.Sorted(maps.Keys(dialogues)) {
			for _, m := range dialogues[name].Messages {
				all = append(all, utterance{first, m.Content, true})
			}
			first++
		}
	}
}

// dialogue is one of CrossWOZ.
type dialogue struct {
	Messages []struct {
		Content string `json:"content"`
	} `json:"messages"`
}

func readDialogues(file io.Reader) (map[string]dialogue, error) {
	packed, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	files, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	all := map[string]dialogue{}
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, ".json") || strings.HasPrefix(filepath.Base(f.Name), ".") {
			continue
		}
		text, err := f.Open()
		if err != nil {
			return nil, err
		}
		err = json.NewDecoder(text).Decode(&all)
		if err := errors.Join(err, text.Close()); err != nil {
			return nil, err
		}
	}
	return all, nil
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
