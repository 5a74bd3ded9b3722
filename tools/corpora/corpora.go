// Package corpora publishes dialogues that real people had as events: CrossWOZ's Chinese chats as web chats with an agent, and EVI's calls
// in English and Polish as calls that a bot takes. A dialogue of a seed is always the same events, so that one that is loaded twice stands
// once.
package corpora

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ulikunitz/xz"
)

// Corpus is where dialogues come from; it is also the provider of their events.
type Corpus string

// The corpora that can be read.
const (
	CrossWOZ Corpus = "crosswoz"
	EVI      Corpus = "evi"
)

// Dialogue is one of a corpus.
type Dialogue struct {
	Corpus Corpus
	// ID is unique in its corpus.
	ID string
	// Language is BCP 47: zh, en, pl.
	Language string
	// Customer and Agent are who had it, as the corpus calls them. A bot has no name there.
	Customer, Agent string
	Turns           []Turn
}

// Turn is what was said at once.
type Turn struct {
	// Text is what was said, as understood best; empty where nothing was.
	Text string
	// Customer said it; else the company.
	Customer bool
	// Item is what a bot asked for, and Attempt how often it had asked before.
	Item    string
	Attempt int
	// Heard is everything that the recogniser may have heard, the best first.
	Heard []string
}

// Read reads the archive (tar.xz) of a corpus.
func Read(corpus Corpus, archive string) ([]Dialogue, error) {
	switch corpus {
	case CrossWOZ:
		return read(archive, ".json.zip", readCrossWOZ)
	case EVI:
		return read(archive, ".tsv", readEVI)
	}
	return nil, fmt.Errorf("corpora: %q is neither crosswoz nor evi", corpus)
}

// read reads the files of an archive whose names have an ending, in their order.
func read(archive, ending string, file func(name string, r io.Reader) ([]Dialogue, error)) ([]Dialogue, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, fmt.Errorf("corpora: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	unpacked, err := xz.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("corpora: unpack %s: %w", archive, err)
	}
	var all []Dialogue
	for files := tar.NewReader(unpacked); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("corpora: unpack %s: %w", archive, err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ending) {
			continue
		}
		some, err := file(strings.TrimSuffix(path.Base(h.Name), ending), files)
		if err != nil {
			return nil, fmt.Errorf("corpora: read %s: %w", h.Name, err)
		}
		all = append(all, some...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("corpora: %s holds no dialogue: files *%s are meant", archive, ending)
	}
	return all, nil
}

// readCrossWOZ reads a packed file of dialogues by their numbers.
func readCrossWOZ(name string, r io.Reader) (all []Dialogue, err error) {
	packed, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	files, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	type dialogue struct {
		Who      []int `json:"sys-usr"`
		Messages []struct{ Content, Role string }
	}
	known := map[string]dialogue{}
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, ".json") || strings.HasPrefix(path.Base(f.Name), ".") {
			continue
		}
		text, err := f.Open()
		if err != nil {
			return nil, err
		}
		err = json.NewDecoder(text).Decode(&known)
		if err := errors.Join(err, text.Close()); err != nil {
			return nil, err
		}
	}
	for _, number := range slices.Sorted(maps.Keys(known)) {
		d := Dialogue{Corpus: CrossWOZ, ID: name + "-" + number, Language: "zh"}
		who := known[number].Who
		if len(who) != 2 {
			return nil, fmt.Errorf("dialogue %s names %d people", number, len(who))
		}
		d.Agent, d.Customer = strconv.Itoa(who[0]), strconv.Itoa(who[1])
		for _, m := range known[number].Messages {
			d.Turns = append(d.Turns, Turn{Text: m.Content, Customer: m.Role == "usr"})
		}
		all = append(all, d)
	}
	return all, nil
}

// Columns of EVI's files, which begin with a line of names.
const (
	columnDialogue = iota
	columnSpeaker
	_ // scenario
	_ // turn
	columnItem
	columnAttempt
	_ // how letters were asked for
	_ // how months were
	columnText
	columnHeard
	columns
)

// readEVI reads a file of turns, one a line, the turns of a dialogue one behind the other. Its name is dialogues and the language.
func readEVI(name string, r io.Reader) (all []Dialogue, err error) {
	table := csv.NewReader(r)
	table.Comma, table.FieldsPerRecord, table.ReuseRecord = '\t', columns, true
	if _, err := table.Read(); err != nil {
		return nil, err
	}
	language := strings.TrimPrefix(path.Ext(name), ".")
	for {
		line, err := table.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if id := line[columnDialogue]; len(all) == 0 || all[len(all)-1].ID != id {
			all = append(all, Dialogue{Corpus: EVI, ID: id, Language: language, Customer: line[columnSpeaker]})
		}
		t := Turn{Text: line[columnText], Customer: true, Item: line[columnItem]}
		if t.Attempt, err = strconv.Atoi(line[columnAttempt]); err != nil {
			return nil, fmt.Errorf("dialogue %s: attempt: %w", line[columnDialogue], err)
		}
		if err := json.Unmarshal([]byte(line[columnHeard]), &t.Heard); err != nil {
			return nil, fmt.Errorf("dialogue %s: what was heard: %w", line[columnDialogue], err)
		}
		d := &all[len(all)-1]
		d.Turns = append(d.Turns, t)
	}
}
