package vcon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MediaType is the media type of a vCon, signed or not.
const MediaType = "application/vcon"

// VCon is a vCon in its unsigned form, as far as it has a place in Skein. Fields stand in the order in which they are written.
type VCon struct {
	UUID        string       `json:"uuid"`
	Critical    []string     `json:"critical,omitempty"`
	CreatedAt   string       `json:"created_at"`
	UpdatedAt   string       `json:"updated_at,omitempty"`
	Subject     string       `json:"subject,omitempty"`
	Parties     []Party      `json:"parties,omitempty"`
	Dialog      []Dialog     `json:"dialog,omitempty"`
	Analysis    []Analysis   `json:"analysis,omitempty"`
	Attachments []Attachment `json:"attachments,omitempty"`
}

// Party is somebody who took part.
type Party struct {
	Tel    string `json:"tel,omitempty"`
	SIP    string `json:"sip,omitempty"`
	Mailto string `json:"mailto,omitempty"`
	Name   string `json:"name,omitempty"`
	DID    string `json:"did,omitempty"`
	UUID   string `json:"uuid,omitempty"`
	Type   string `json:"type,omitempty"`
}

// The types of parties and dialogs.
const (
	typePerson       = "person"
	typeBot          = "bot"
	typeOrganization = "organization"
	anonymous        = "anonymous" // the name of who withholds it

	dialogRecording  = "recording"
	dialogText       = "text"
	dialogTransfer   = "transfer"
	dialogIncomplete = "incomplete"
	dialogSet        = "recording-set"
)

// Dialog is a piece of what was said, or of what became of a call.
type Dialog struct {
	Type           string    `json:"type"`
	Start          string    `json:"start"`
	Duration       Seconds   `json:"duration,omitempty"`
	Parties        *Channels `json:"parties,omitempty"`
	Originator     *int      `json:"originator,omitempty"`
	Recordings     []int     `json:"recordings,omitempty"`
	RecordingSet   *int      `json:"recording_set,omitempty"`
	Content                  // of recordings and texts only
	Disposition    string    `json:"disposition,omitempty"`
	PartyHistory   []History `json:"party_history,omitempty"`
	Transferee     *int      `json:"transferee,omitempty"`
	Transferor     *int      `json:"transferor,omitempty"`
	TransferTarget Indices   `json:"transfer_target,omitempty"`
	Original       Indices   `json:"original,omitempty"`
	Consultation   Indices   `json:"consultation,omitempty"`
	TargetDialog   Indices   `json:"target_dialog,omitempty"`
	Application    string    `json:"application,omitempty"`
	MessageID      string    `json:"message_id,omitempty"`
}

// History is something that a party did during a dialog.
type History struct {
	Party  int    `json:"party"`
	Time   string `json:"time"`
	Event  string `json:"event"`
	Button string `json:"button,omitempty"`
}

// The events of a party's history.
const (
	historyJoin    = "join"
	historyDrop    = "drop"
	historyHold    = "hold"
	historyUnhold  = "unhold"
	historyKeyDown = "keydown"
	historyKeyUp   = "keyup"
)

// Attachment is a file that was exchanged.
type Attachment struct {
	Purpose string `json:"purpose,omitempty"`
	Start   string `json:"start"`
	Party   int    `json:"party"`
	Dialog  int    `json:"dialog"`
	Content
}

// Analysis is what somebody concluded.
type Analysis struct {
	Type       string  `json:"type"`
	Dialog     Indices `json:"dialog,omitempty"`
	Attachment Indices `json:"attachment,omitempty"`
	Vendor     string  `json:"vendor"`
	Product    string  `json:"product,omitempty"`
	Schema     string  `json:"schema,omitempty"`
	Content
}

// Content is a file, inline or by reference.
type Content struct {
	Mediatype   string          `json:"mediatype,omitempty"`
	Filename    string          `json:"filename,omitempty"`
	Body        json.RawMessage `json:"body,omitempty"`
	Encoding    string          `json:"encoding,omitempty"`
	URL         string          `json:"url,omitempty"`
	ContentHash Hashes          `json:"content_hash,omitempty"`
}

// The encodings of a body.
const (
	encodingNone      = "none"
	encodingJSON      = "json"
	encodingBase64URL = "base64url"
)

// Encode writes a vCon as JSON: the same vCon gives the same bytes.
func (v *VCon) Encode() ([]byte, error) {
	raw, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("vcon: encode: %w", err)
	}
	return raw, nil
}

// encode writes JSON without the escapes that HTML needs.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Seconds is a duration as a number of seconds. The zero value is not written.
type Seconds time.Duration

// MarshalJSON writes every nanosecond and no more digits than needed.
func (s Seconds) MarshalJSON() ([]byte, error) {
	whole, rest := s/Seconds(time.Second), s%Seconds(time.Second)
	text := strconv.FormatInt(int64(whole), 10)
	if rest != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%09d", int64(rest)), "0")
	}
	return []byte(text), nil
}

// UnmarshalJSON reads a number of seconds.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	const most = float64(1<<63-1) / float64(time.Second)
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f < 0 || f >= most {
		return fmt.Errorf("%s is no number of seconds", raw)
	}
	if d, err := time.ParseDuration(string(raw) + "s"); err == nil { // exact, where no exponent is written
		*s = Seconds(d)
		return nil
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}

// Indices are one index or several.
type Indices []int

// MarshalJSON writes one index as a number.
func (i Indices) MarshalJSON() ([]byte, error) {
	if len(i) == 1 {
		return json.Marshal(i[0])
	}
	return json.Marshal([]int(i))
}

// UnmarshalJSON reads a number or a list.
func (i *Indices) UnmarshalJSON(raw []byte) error {
	var one int
	if json.Unmarshal(raw, &one) == nil {
		*i = Indices{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]int)(i))
}

// Hashes are one hash or several.
type Hashes []string

// MarshalJSON writes one hash as a string.
func (h Hashes) MarshalJSON() ([]byte, error) {
	if len(h) == 1 {
		return json.Marshal(h[0])
	}
	return json.Marshal([]string(h))
}

// UnmarshalJSON reads a string or a list.
func (h *Hashes) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*h = Hashes{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(h))
}

// Channels are the parties of a dialog: all in one, or for each sound channel those who can be heard on it.
type Channels struct {
	Mixed []int
	Split [][]int
}

// All are the parties in their order, each once.
func (c *Channels) All() []int {
	if c == nil {
		return nil
	}
	var all []int
	seen := map[int]bool{}
	for _, channel := range append([][]int{c.Mixed}, c.Split...) {
		for _, p := range channel {
			if !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	return all
}

// MarshalJSON writes a list, of lists where there are channels.
func (c *Channels) MarshalJSON() ([]byte, error) {
	if c.Split == nil {
		return json.Marshal(c.Mixed)
	}
	return json.Marshal(c.Split)
}

// UnmarshalJSON reads a number, a list of numbers, or a list that holds lists.
func (c *Channels) UnmarshalJSON(raw []byte) error {
	var mixed Indices
	if json.Unmarshal(raw, &mixed) == nil && !bytes.Contains(raw, []byte("null")) {
		c.Mixed = mixed
		return nil
	}
	var split []json.RawMessage
	if err := json.Unmarshal(raw, &split); err != nil {
		return err
	}
	c.Split = make([][]int, len(split))
	for i, one := range split {
		var channel Indices
		if err := json.Unmarshal(one, &channel); err != nil {
			return err
		}
		c.Split[i] = channel
	}
	return nil
}

// stamp writes a time.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
