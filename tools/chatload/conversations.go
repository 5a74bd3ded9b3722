// Package chatload has many real chats through the web chat's WebSocket, on connections that break and with messages that
// are sent again, and checks that each message stands once in its visitor's timeline.
package chatload

import (
	"archive/tar"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"strings"

	"github.com/ulikunitz/xz"
)

// Conversation is what one customer wrote, in order.
type Conversation struct {
	ID       string
	Messages []Message
}

// Message is one sentence of a conversation.
type Message struct{ ID, Text string }

// Columns of the files, which begin with a line of names.
const (
	columnConversation = iota
	columnTurn
	columnSentence
	_ // utterance id
	columnText
	columns
)

// Read reads conversations from an archive (tar.xz) of MultiDoGO's sentences, as they stand in it, until there are n
// messages; 0 reads all. Lines that hold no text are left out.
func Read(archive string, n int) ([]Conversation, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	unpacked, err := xz.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", archive, err)
	}
	r := reader{left: n, known: map[string]int{}}
	if n == 0 {
		r.left = math.MaxInt
	}
	files := tar.NewReader(unpacked)
	for r.left > 0 {
		h, err := files.Next()
		if errors.Is(err, io.EOF) && n == 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s holds %d messages only: files */sentence_level/*/*.tsv are meant", archive, n-r.left)
		}
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", archive, err)
		}
		if h.Typeflag != tar.TypeReg || path.Ext(h.Name) != ".tsv" || !strings.Contains(h.Name, "sentence_level") {
			continue
		}
		if err := r.read(files); err != nil {
			return nil, fmt.Errorf("read %s: %w", h.Name, err)
		}
	}
	return r.conversations, nil
}

type reader struct {
	conversations []Conversation
	known         map[string]int // by id
	left          int
}

func (r *reader) read(file io.Reader) error {
	table := csv.NewReader(file)
	table.Comma, table.LazyQuotes, table.FieldsPerRecord, table.ReuseRecord = '\t', true, -1, true
	if _, err := table.Read(); err != nil {
		return err
	}
	for r.left > 0 {
		line, err := table.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) < columns || strings.TrimSpace(line[columnText]) == "" {
			continue
		}
		id := line[columnConversation]
		at, ok := r.known[id]
		if !ok {
			at = len(r.conversations)
			r.known[strings.Clone(id)] = at
			r.conversations = append(r.conversations, Conversation{ID: id})
		}
		c := &r.conversations[at]
		c.Messages = append(c.Messages, Message{fmt.Sprintf("t%s-s%s", line[columnTurn], line[columnSentence]), line[columnText]})
		r.left--
	}
	return nil
}
