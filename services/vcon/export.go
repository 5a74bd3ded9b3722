package vcon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Conversations knows conversations and holds their events. It is safe for concurrent use.
type Conversations interface {
	// Get gives a conversation by the id of any of its interactions. Its error is the one that the caller gets.
	Get(ctx context.Context, tenant, id string) (*conversationv1.Conversation, error)
	// Events calls yield for each event of a conversation, in their order, until yield fails.
	Events(ctx context.Context, tenant string, id event.ID, yield func(channel.Filed) error) error
}

// media says how files are held.
type media int

const (
	mediaInline media = iota
	mediaReference
	mediaOmitted
)

// exporter makes one vCon.
type exporter struct {
	ids   *event.IDs
	blobs event.Blobs
	media media
	url   func(key string) string // of a blob, for references
	notes bool                    // with those of colleagues
	room  int                     // bytes of files that still fit

	conversation *conversationv1.Conversation
	groups       []*group
	stored       map[string]map[int32]*eventv1.Blob // files that came later, by event and index
	imports      []imported                         // vCons that the conversation came from
	parties      map[string]*party
	dialogs      []*dialog
	analyses     []*analysis
	leftOut      []Note
}

// group is what happened in one interaction.
type group struct {
	number      int
	interaction *conversationv1.Interaction // nil where none is known
	events      []told
	channel     eventv1.Channel
	provider    string
	parties     []*party
	dialogs     []*dialog
	analyses    []*analysis
	begin       time.Time
}

// told is an event with its whole content and its time.
type told struct {
	*eventv1.Event
	content *eventv1.Content
	at      time.Time
}

// party is a party before it has its number.
type party struct {
	Party
	company, customer bool // as which it was named
	number            int
}

// dialog is a dialog before parties and dialogs have their numbers.
type dialog struct {
	Dialog
	group                  *group
	event                  string // id
	recording              string // the provider's id
	start, end             time.Time
	parties                []*party
	stereo                 bool
	originator             *party
	history                []happened
	transferee, transferor *party
	target                 []*party
	original, follows      []*dialog
	meta                   messageBody
	files                  []*attachment
	number                 int
}

type happened struct {
	at     time.Time
	event  string
	button string
	party  *party
}

type attachment struct {
	Attachment
	number int
}

// analysis is an analysis before dialogs have their numbers. Its body is made when they have.
type analysis struct {
	Analysis
	at      time.Time
	dialogs []*dialog
	parties []*party // that its body names
	body    func(about) any
}

// errTooLarge means that the files do not fit.
var errTooLarge = errors.New("vcon: its recordings and files are too large for one answer: ask for them by reference, or leave them out")

// export makes the vCon of a conversation.
func (x *exporter) export(ctx context.Context, source Conversations, tenant string) (*VCon, error) {
	id, err := event.ParseID(x.conversation.GetId())
	if err != nil {
		return nil, fmt.Errorf("vcon: export: %w", err)
	}
	x.parties, x.stored = map[string]*party{}, map[string]map[int32]*eventv1.Blob{}
	if err := x.collect(ctx, source, tenant, id); err != nil {
		return nil, fmt.Errorf("vcon: export: %w", err)
	}
	for _, g := range x.groups {
		for _, e := range g.events {
			x.parts(g, e) // so that names and sides are known of all before anything is told
			x.actor(e)
		}
	}
	for _, g := range x.groups {
		if err := x.tell(ctx, g); err != nil {
			return nil, fmt.Errorf("vcon: export: %w", err)
		}
	}
	x.number()
	v, err := x.assemble()
	if err != nil {
		return nil, fmt.Errorf("vcon: export: %w", err)
	}
	return v, x.name(v)
}

// collect reads the events and puts them into the groups of their interactions.
func (x *exporter) collect(ctx context.Context, source Conversations, tenant string, id event.ID) error {
	var all []told
	err := source.Events(ctx, tenant, id, func(f channel.Filed) error {
		e := told{Event: f.Event, content: f.Content}
		switch {
		case e.Event == nil:
			return nil
		case e.content == nil:
			x.leftOut = append(x.leftOut, Note{e.GetId(), "it is sealed, and cannot be read"})
			return nil
		}
		whole, err := event.Whole(ctx, e.content, x.blobs)
		switch {
		case err == nil:
			e.content = whole
		case ctx.Err() != nil || errors.Is(err, channel.ErrRetry):
			return err
		default:
			x.leftOut = append(x.leftOut, Note{e.GetId(), "only its beginning is left: " + err.Error()})
		}
		e.at = e.GetOccurredAt().AsTime()
		if e.content.GetStatedAt() != nil {
			e.at = e.content.GetStatedAt().AsTime()
		}
		all = append(all, e)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b told) int { return a.at.Compare(b.at) })
	type key struct{ thread, interaction string }
	groups := map[key]*group{}
	for _, e := range all {
		i := x.interactionOf(e)
		k := key{e.GetThreadId(), i.GetId()}
		g := groups[k]
		if g == nil {
			g = &group{interaction: i, channel: i.GetChannel(), provider: i.GetProvider(), begin: e.at}
			groups[k] = g
			x.groups = append(x.groups, g)
		}
		g.events = append(g.events, e)
		if g.channel == 0 {
			g.channel = e.GetChannel()
		}
		if g.provider == "" {
			g.provider = e.GetProvider()
		}
		if s := e.content.GetAttachmentStored(); s != nil && len(e.content.GetAttachments()) > 0 {
			if x.stored[s.GetEventId()] == nil {
				x.stored[s.GetEventId()] = map[int32]*eventv1.Blob{}
			}
			x.stored[s.GetEventId()][s.GetIndex()] = e.content.GetAttachments()[0].GetBlob()
		}
	}
	return nil
}

// interactionOf is the interaction of its thread that an event lies in: the last that has begun by then.
func (x *exporter) interactionOf(e told) *conversationv1.Interaction {
	var in *conversationv1.Interaction
	for _, i := range x.conversation.GetInteractions() {
		if i.GetThreadId() != e.GetThreadId() {
			continue
		}
		if e.GetInteractionId() != "" && i.GetId() == e.GetInteractionId() {
			return i
		}
		if in == nil || !i.GetStartedAt().AsTime().After(e.at) && i.GetStartedAt().AsTime().After(in.GetStartedAt().AsTime()) {
			in = i
		}
	}
	return in
}

// number puts dialogs, parties and analyses in their order.
func (x *exporter) number() {
	for _, g := range x.groups {
		if g.interaction.GetStartedAt() != nil {
			g.begin = g.interaction.GetStartedAt().AsTime()
		}
		for i, d := range g.dialogs {
			if d.start.Before(g.begin) || i == 0 && g.interaction == nil {
				g.begin = d.start
			}
		}
	}
	x.groups = slices.DeleteFunc(x.groups, func(g *group) bool { return g.interaction == nil && len(g.dialogs)+len(g.analyses) == 0 })
	slices.SortStableFunc(x.groups, func(a, b *group) int {
		return cmp.Or(a.begin.Compare(b.begin), cmp.Compare(a.channel, b.channel), cmp.Compare(a.provider, b.provider), cmp.Compare(a.rank(), b.rank()))
	})
	next := 0
	count := func(all ...*party) {
		for _, p := range all {
			if p != nil && p.number < 0 {
				p.number = next
				next++
			}
		}
	}
	for i, g := range x.groups {
		g.number = i
		x.dialogs = append(x.dialogs, g.dialogs...)
		count(g.parties...)
	}
	slices.SortStableFunc(x.dialogs, func(a, b *dialog) int { return a.start.Compare(b.start) })
	for i, d := range x.dialogs {
		d.number = i
		count(d.parties...)
		count(d.originator, d.transferee, d.transferor)
		count(d.target...)
		for _, h := range d.history {
			count(h.party)
		}
	}
	for _, g := range x.groups {
		if g.interaction != nil {
			x.analyses = append(x.analyses, g.report())
		}
	}
	for _, g := range x.groups {
		x.analyses = append(x.analyses, g.analyses...)
		for _, a := range g.analyses {
			count(a.parties...)
		}
	}
}

// rank tells interactions apart that began at one moment, by what was said in them first.
func (g *group) rank() string {
	if len(g.dialogs) == 0 {
		return ""
	}
	d := g.dialogs[0]
	return stamp(d.start) + d.Type + d.MessageID + string(d.Body)
}

// assemble writes everything with its numbers.
func (x *exporter) assemble() (*VCon, error) {
	v := &VCon{}
	for _, g := range x.groups {
		v.Subject = cmp.Or(v.Subject, g.interaction.GetSubject())
	}
	v.Subject = cmp.Or(v.Subject, x.conversation.GetSubject())
	var last time.Time
	reach := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for _, p := range x.parties {
		if p.number >= len(v.Parties) {
			v.Parties = slices.Grow(v.Parties, p.number+1)[:p.number+1]
		}
		if p.number >= 0 {
			p.settle()
			v.Parties[p.number] = p.Party
		}
	}
	files := 0
	for _, d := range x.dialogs {
		reach(d.start)
		reach(d.end)
		d.write()
		for _, h := range d.history {
			reach(h.at)
		}
		for _, f := range d.files {
			f.Dialog, f.number = d.number, files
			files++
			f.Party = cmp.Or(d.originator, d.parties[0]).number
			v.Attachments = append(v.Attachments, f.Attachment)
		}
		v.Dialog = append(v.Dialog, d.Dialog)
	}
	for _, g := range x.groups {
		reach(g.begin)
		for _, t := range []*timestamppb.Timestamp{g.interaction.GetEndedAt(), g.interaction.GetResolvedAt()} {
			if t != nil {
				reach(t.AsTime())
			}
		}
		for _, a := range g.analyses {
			reach(a.at)
		}
	}
	if err := x.analyse(v); err != nil {
		return nil, err
	}
	if last.IsZero() {
		last = x.conversation.GetStartedAt().AsTime()
	}
	v.CreatedAt = stamp(last)
	return v, nil
}

// analyse writes the analyses.
func (x *exporter) analyse(v *VCon) error {
	number := map[*analysis]int{}
	for _, g := range x.groups {
		for _, a := range g.analyses {
			number[a] = g.number
		}
	}
	for _, a := range x.analyses {
		a.Dialog = indices(a.dialogs)
		body, err := encode(a.body(about{number[a], stamp(a.at)}))
		if err != nil {
			return err
		}
		a.Content = Content{Mediatype: "application/json", Body: body, Encoding: encodingJSON}
		v.Analysis = append(v.Analysis, a.Analysis)
	}
	return nil
}

func reference(p *party) *int {
	if p == nil {
		return nil
	}
	return &p.number
}

func numbers(all []*party) []int {
	var n []int
	for _, p := range all {
		n = append(n, p.number)
	}
	return n
}

func indices(all []*dialog) Indices {
	var n Indices
	for _, d := range all {
		n = append(n, d.number)
	}
	slices.Sort(n)
	return n
}

// write fills the numbers in.
func (d *dialog) write() {
	d.Start = stamp(d.start)
	if len(d.parties) > 0 && d.Type != dialogTransfer {
		d.Parties = &Channels{Mixed: numbers(d.parties)}
		if d.stereo && len(d.parties) > 1 {
			d.Parties = &Channels{Split: [][]int{numbers(d.parties[:1]), numbers(d.parties[1:])}}
		}
	}
	d.Originator, d.Transferee, d.Transferor = reference(d.originator), reference(d.transferee), reference(d.transferor)
	d.TransferTarget = numbers(d.target)
	d.Original, d.TargetDialog = indices(d.original), indices(d.follows)
	for _, h := range d.history {
		d.PartyHistory = append(d.PartyHistory, History{h.party.number, stamp(h.at), h.event, h.button})
	}
}

// name gives the vCon its uuid: that of the vCon which it was imported from and still is, or one that is made of the conversation's id and all
// that is told, under the tenant's key.
func (x *exporter) name(v *VCon) error {
	digest, err := v.digest()
	if err != nil {
		return err
	}
	for _, i := range x.imports {
		if i.Digest == digest {
			v.UUID = i.UUID
			return nil
		}
	}
	created, err := moment("$.created_at", v.CreatedAt)
	if err != nil {
		return err
	}
	v.UUID = deriveUUID(created, x.ids.Digest([]byte("vcon\x00"+x.conversation.GetId()+"\x00"+digest)))
	return nil
}

// deriveUUID is a UUID of version 8 that begins with a time, as those of the draft do. What follows is a hash, so that the same vCon has
// the same; the draft fills it from chance and the name of the host.
func deriveUUID(at time.Time, hash []byte) string {
	var id event.ID
	copy(id[:], hash)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(at.UnixMilli(), 0)))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// digest names all that a vCon tells but its uuid, in whatever order the members of its objects stand.
func (v *VCon) digest() (string, error) {
	c := *v
	c.UUID = ""
	raw, err := c.Encode()
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var sorted any
	if err := d.Decode(&sorted); err != nil {
		return "", fmt.Errorf("vcon: digest: %w", err)
	}
	if raw, err = encode(sorted); err != nil {
		return "", fmt.Errorf("vcon: digest: %w", err)
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// importedType is the event that tells which vCon a conversation came from.
const importedType = "ext.vcon.imported"

// imported is its body.
type imported struct {
	UUID   string `json:"uuid"`
	Digest string `json:"digest"`
	Signer string `json:"signer,omitempty"`
	Notes  []Note `json:"notes,omitempty"`
}

// content holds a file as it is wanted.
func (x *exporter) content(ctx context.Context, e told, index int) (Content, error) {
	a := e.content.GetAttachments()[index]
	c := Content{Mediatype: a.GetMediaType(), Filename: a.GetName()}
	ref := a.GetBlob()
	if ref == nil {
		ref = x.stored[e.GetId()][int32(min(index, math.MaxInt32))]
	}
	if url, hash, ok := splitSource(a.GetSource()); ok && ref == nil { // it was elsewhere when it was imported, and still is
		c.URL, c.ContentHash = url, hash
		return c, nil
	}
	if ref == nil {
		if a.GetName() != "" || a.GetSource() != "" {
			x.leftOut = append(x.leftOut, Note{e.GetId(), fmt.Sprintf("its file %q is not in the blob store", a.GetName())})
		}
		return c, nil
	}
	c.Mediatype = cmp.Or(ref.GetMediaType(), c.Mediatype)
	if x.media == mediaOmitted {
		return c, nil
	}
	if x.media == mediaInline && ref.GetSize() > int64(x.room) {
		return Content{}, errTooLarge
	}
	data, err := x.blobs.Get(ctx, ref)
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, channel.ErrRetry)):
		return Content{}, err
	case err != nil:
		x.leftOut = append(x.leftOut, Note{e.GetId(), fmt.Sprintf("its file %q cannot be had: %v", a.GetName(), err)})
		return c, nil
	}
	if x.media == mediaReference {
		hash := sha512.Sum512(data)
		c.URL, c.ContentHash = x.url(ref.GetKey()), Hashes{"sha512-" + base64.RawURLEncoding.EncodeToString(hash[:])}
		return c, nil
	}
	x.room -= len(data)
	c.Encoding = encodingBase64URL
	c.Body, err = json.Marshal(base64.RawURLEncoding.EncodeToString(data))
	return c, err
}

// A file that a vCon refers to is an attachment whose source is its address, with its hash behind "#", which is never sent to a server.

func joinSource(url string, hashes Hashes) string {
	for _, h := range hashes {
		if strings.HasPrefix(h, "sha512-") {
			return url + "#" + h
		}
	}
	return url
}

func splitSource(source string) (url string, hashes Hashes, ok bool) {
	at := strings.LastIndex(source, "#sha512-")
	if at < 0 || !strings.HasPrefix(source, "https://") {
		return "", nil, false
	}
	return source[:at], Hashes{source[at+1:]}, true
}
