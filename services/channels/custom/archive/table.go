package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Table says how a table is read. Each row is an event.
type Table struct {
	Config
	// Columns are the names of columns by field; the fields are those of Fields. A field that is not named is looked for under its own name,
	// in any case, and under some usual ones.
	Columns map[string]string
	// TimeFormat is how times are written, as Go's time package has it; the usual ones are known.
	TimeFormat string
	// Zone is that of times that name none; UTC unless set.
	Zone *time.Location
	// Region is the country by which telephone numbers without country code are read, such as DE.
	Region string
	// Channel of rows that name none, such as email or web_chat; task unless set.
	Channel string
}

// field is what a column can hold.
type field struct {
	name    string
	meaning string
	usual   []string
}

func fields() []field {
	return []field{
		{"time", "when it happened", []string{"timestamp", "date", "created_at", "occurred_at", "sent_at"}},
		{"thread", "what belongs together: a conversation, ticket or call", []string{"conversation_id", "conversation", "ticket", "ticket_id", "case", "session_id", "thread_id"}},
		{"id", "the row's own id, unique in its thread; else its contents are", []string{"message_id", "event_id"}},
		{"customer", "mail address, telephone number, or id of the customer", []string{"email", "phone", "phone_number", "from", "customer_id", "contact"}},
		{"name", "the customer's name", []string{"customer_name", "display_name", "contact_name"}},
		{"direction", "inbound (in, incoming, customer) or outbound (out, outgoing, agent); inbound unless stated", []string{"sender_type", "author_type"}},
		{"agent", "the agent's id", []string{"agent_id", "assignee", "agent_name"}},
		{"subject", "subject", nil},
		{"text", "what was said", []string{"body", "message", "content", "utterance", "transcript"}},
		{"channel", "channel, such as email, voice, web_chat, sms", nil},
		{"language", "language tag, such as en or zh-CN", []string{"locale"}},
		{"type", "event type; message.received or message.sent unless stated, and note.added or ext.NAME.NAME are possible", []string{"event_type"}},
	}
}

// Fields names what a column can hold, with its meaning.
func Fields() map[string]string {
	all := map[string]string{}
	for _, f := range fields() {
		all[f.name] = f.meaning
	}
	return all
}

// table is a table that is read.
type table struct {
	file
	cfg     Table
	comma   rune
	columns map[string]int // by field
	header  []string
	medium  eventv1.Channel
}

// OpenTable opens a table with a line of column names. Fields are separated by commas, semicolons or tabs, as that line shows. Text is UTF-8.
// The error says which columns cannot be found, and which there are.
func OpenTable(cfg Table) (history.Source, error) {
	f, err := stat(cfg.Config)
	if err != nil {
		return nil, err
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	t := &table{file: f, cfg: cfg, medium: eventv1.Channel_CHANNEL_TASK}
	if cfg.Channel != "" {
		if t.medium, err = medium(cfg.Channel); err != nil {
			return nil, fmt.Errorf("custom/archive: %w", err)
		}
	}
	in, _, _, done, err := t.open("")
	if err != nil {
		return nil, err
	}
	defer done()
	if err := t.readHeader(in); err != nil {
		return nil, fmt.Errorf("custom/archive: %s: %w", cfg.Path, err)
	}
	return t, nil
}

func (t *table) reader(in io.Reader) *csv.Reader {
	r := csv.NewReader(in)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord, r.ReuseRecord = t.comma, true, -1, true
	return r
}

func (t *table) readHeader(in *bufio.Reader) error {
	head, err := in.Peek(1 << 16)
	if len(head) == 0 {
		return fmt.Errorf("the table is empty: %w", err)
	}
	first, _, _ := strings.Cut(string(head), "\n")
	t.comma = ','
	for _, c := range []rune{';', '\t'} {
		if strings.Count(first, string(c)) > strings.Count(first, string(t.comma)) {
			t.comma = c
		}
	}
	record, err := t.reader(in).Read()
	if err != nil {
		return err
	}
	t.header = slices.Clone(record)
	t.columns = map[string]int{}
	at := func(name string) int {
		return slices.IndexFunc(t.header, func(h string) bool { return plain(h) == plain(name) })
	}
	for _, f := range fields() {
		names := append([]string{f.name}, f.usual...)
		if named, ok := t.cfg.Columns[f.name]; ok {
			names = []string{named}
		}
		for _, name := range names {
			if i := at(name); i >= 0 {
				t.columns[f.name] = i
				break
			}
		}
		if _, found := t.columns[f.name]; !found && t.cfg.Columns[f.name] != "" {
			return fmt.Errorf("there is no column %q for %s; there are: %s", t.cfg.Columns[f.name], f.name, strings.Join(t.header, ", "))
		}
	}
	for name := range t.cfg.Columns {
		if _, known := Fields()[name]; !known {
			return fmt.Errorf("%q is no field; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(Fields())), ", "))
		}
	}
	if _, ok := t.columns["thread"]; !ok {
		return fmt.Errorf("no column says what belongs together: name it as the field thread; there are: %s", strings.Join(t.header, ", "))
	}
	return nil
}

// plain makes "Created At" and "created_at" the same.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "", "\ufeff", "").Replace(name))
}

// Size implements history.Source.
func (t *table) Size() int64 { return t.size }

// Items implements history.Source.
func (t *table) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	in, read, skip, done, err := t.open(cursor)
	if err != nil {
		return err
	}
	defer done()
	r := t.reader(in)
	if _, err := r.Read(); err != nil { // the names
		return fmt.Errorf("custom/archive: %s: %w", t.Path, err)
	}
	var g gathered
	n := 0
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		n++
		if n <= skip {
			continue
		}
		line, _ := r.FieldPos(0)
		name := "line " + strconv.Itoa(line)
		if err != nil {
			if _, syntax := errors.AsType[*csv.ParseError](err); !syntax {
				return fmt.Errorf("custom/archive: %s, row %d: %w", t.Path, n, err)
			}
			g.fault("row "+strconv.Itoa(n), err)
		} else if s, err := t.submission(record); err != nil {
			g.fault(name, err)
		} else {
			g.named = append(g.named, history.Named{Name: name, Submission: s})
		}
		if n%chunk == 0 {
			if err := yield(g.item(t.Tenant, strconv.Itoa(n), read.since())); err != nil {
				return err
			}
		}
	}
	if n <= skip {
		return nil
	}
	return yield(g.item(t.Tenant, strconv.Itoa(n), read.since()))
}

func (t *table) get(record []string, field string) string {
	i, ok := t.columns[field]
	if !ok || i >= len(record) {
		return ""
	}
	return strings.TrimSpace(record[i])
}

// submission is the event that a row tells.
func (t *table) submission(record []string) (*eventv1.Submission, error) {
	for _, v := range record {
		if !utf8.ValidString(v) {
			return nil, errors.New("it is no UTF-8 text: convert the table first")
		}
	}
	s := &eventv1.Submission{
		Channel: t.medium, Provider: "table", Inbox: t.Inbox, Thread: t.get(record, "thread"), NativeId: t.get(record, "id"), Backfill: true,
		Direction: eventv1.Direction_DIRECTION_INBOUND, Language: t.get(record, "language"), Content: &eventv1.Content{},
	}
	if s.GetThread() == "" {
		return nil, errors.New("the thread is missing")
	}
	if s.GetNativeId() == "" {
		sum := sha256.Sum256([]byte(strings.Join(record, "\x00")))
		s.NativeId = hex.EncodeToString(sum[:16])
	}
	var err error
	if text := t.get(record, "channel"); text != "" {
		if s.Channel, err = medium(text); err != nil {
			return nil, err
		}
	}
	if text := t.get(record, "time"); text != "" {
		at, err := t.time(text)
		if err != nil {
			return nil, err
		}
		s.OccurredAt = timestamppb.New(at)
	}
	outbound, err := isOutbound(t.get(record, "direction"))
	if err != nil {
		return nil, err
	}
	role := eventv1.PartyRole_PARTY_ROLE_SENDER
	s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	if outbound {
		s.Direction, role = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.PartyRole_PARTY_ROLE_TO
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: t.get(record, "agent")}
	}
	if customer := t.get(record, "customer"); customer != "" {
		s.Parties = []*eventv1.SubmittedParty{{
			Address: t.address(customer), Role: role, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: t.get(record, "name"),
		}}
	}
	return s, t.body(s, record, outbound)
}

// body is what a row says.
func (t *table) body(s *eventv1.Submission, record []string, outbound bool) error {
	message := &eventv1.Message{Subject: t.get(record, "subject"), Text: t.get(record, "text")}
	s.Type = t.get(record, "type")
	if s.GetType() == "" {
		s.Type = event.TypeMessageReceived
		if outbound {
			s.Type = event.TypeMessageSent
		}
	}
	switch {
	case s.GetType() == event.TypeMessageReceived:
		s.Content.Body = &eventv1.Content_MessageReceived{MessageReceived: message}
	case s.GetType() == event.TypeMessageSent:
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: message}
	case s.GetType() == event.TypeNoteAdded:
		s.Content.Body = &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: message.GetText()}}
	case strings.HasPrefix(s.GetType(), "ext."):
		row := map[string]string{}
		for i, h := range t.header {
			if i < len(record) {
				row[h] = record[i]
			}
		}
		raw, err := json.Marshal(row)
		if err != nil {
			return err
		}
		s.Content.Body = &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: raw}}
	default:
		return fmt.Errorf("a row cannot tell %q: message.received, message.sent, note.added and ext.NAME.NAME are possible", s.GetType())
	}
	return nil
}

// address finds out what names a customer.
func (t *table) address(text string) *eventv1.Address {
	digits := strings.Trim(text, "+0123456789 ()-./")
	switch {
	case strings.Contains(text, "@"):
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: text}
	case digits == "" && (strings.HasPrefix(text, "+") || t.cfg.Region != ""):
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: text, Region: t.cfg.Region}
	}
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "table/" + t.Inbox, Value: text}
}

// time reads a moment.
func (t *table) time(text string) (time.Time, error) {
	if t.cfg.TimeFormat != "" {
		at, err := time.ParseInLocation(t.cfg.TimeFormat, text, t.cfg.Zone)
		if err != nil {
			return at, fmt.Errorf("the time %q is not written as %q", text, t.cfg.TimeFormat)
		}
		return at, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n > 1e11 { // seconds would be in the year 5138
			return time.UnixMilli(n), nil
		}
		return time.Unix(n, 0), nil
	}
	for _, format := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 -0700",
		"2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02", "2006/01/02 15:04:05", time.RFC1123Z, time.RFC1123,
	} {
		if at, err := time.ParseInLocation(format, text, t.cfg.Zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("the time %q is written in no usual way: say how", text)
}

func isOutbound(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "", "in", "inbound", "incoming", "received", "customer", "contact", "user", "visitor", "end-user":
		return false, nil
	case "out", "outbound", "outgoing", "sent", "agent", "company", "bot", "operator":
		return true, nil
	}
	return false, fmt.Errorf("the direction %q is neither inbound nor outbound", text)
}

// medium is a channel by its name.
func medium(text string) (eventv1.Channel, error) {
	name := strings.ToUpper(strings.NewReplacer(" ", "_", "-", "_").Replace(text))
	for short, long := range map[string]string{"CHAT": "WEB_CHAT", "PHONE": "VOICE", "CALL": "VOICE", "MAIL": "EMAIL", "SOCIAL": "SOCIAL_MESSAGE"} {
		if name == short {
			name = long
		}
	}
	if n, ok := eventv1.Channel_value["CHANNEL_"+name]; ok && n > 0 {
		return eventv1.Channel(n), nil
	}
	var names []string
	for n, known := range eventv1.Channel_name {
		if n > 0 {
			names = append(names, strings.ToLower(strings.TrimPrefix(known, "CHANNEL_")))
		}
	}
	slices.Sort(names)
	return 0, fmt.Errorf("there is no channel %q; there are: %s", text, strings.Join(names, ", "))
}
