package vcon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// defaultProvider tells of what names no application that could be one.
	defaultProvider = "vcon"
	// threadPrefix begins the native id of a thread that was imported; the vCon's uuid and a number follow.
	threadPrefix = "vcon:"
	// dialogPrefix begins the native id of an event whose message has no id; the dialog's index follows.
	dialogPrefix = "dialog/"
	// chunk is how many events are handed in at once.
	chunk = 200
)

// Options say how a vCon is taken in.
type Options struct {
	// Tenant and Inbox that it belongs to.
	Tenant, Inbox string
	// Company are the company's own addresses.
	Company []*eventv1.Address
	// Region by which telephone numbers without country code are read.
	Region string
	// Keyring tells the tenant's own agents by their uuids. May be nil: then they go by these.
	Keyring *event.Keyring
}

// Result is what became of a vCon.
type Result struct {
	UUID, Signer string
	// Threads are the ids of those that it went into.
	Threads []string
	// Acknowledgements of its events.
	Acknowledgements []channel.Acknowledgement
	// Notes tell what was left out.
	Notes []Note
}

// Import takes a vCon in. The error is a *PathError, ErrUnsigned or ErrNotTrusted where it cannot be taken in, or one of the host's.
func (r *Reader) Import(ctx context.Context, host channel.Host, raw []byte, o Options) (Result, error) {
	v, signer, notes, err := r.Read(raw)
	if err != nil {
		return Result{}, err
	}
	m := &importer{v: v, o: o, notes: notes, put: host.PutBlob}
	digest, err := v.digest()
	if err != nil {
		return Result{}, err
	}
	if err := m.plan(ctx); err != nil {
		return Result{}, fmt.Errorf("vcon: import: %w", err)
	}
	original, err := host.PutBlob(ctx, channel.BlobInfo{Tenant: o.Tenant, Inbox: o.Inbox, Thread: m.groups[0].thread(v), MediaType: MediaType}, bytes.NewReader(raw))
	if err != nil {
		return Result{}, fmt.Errorf("vcon: import: keep it as it came: %w", err)
	}
	if err := m.origin(imported{v.UUID, digest, signer, m.notes}, original); err != nil {
		return Result{}, err
	}
	result := Result{UUID: v.UUID, Signer: signer}
	submit := func(all []*eventv1.Submission) error {
		for part := range slices.Chunk(all, chunk) {
			acks, err := host.Submit(ctx, o.Tenant, part...)
			if err != nil {
				return fmt.Errorf("vcon: import: %w", err)
			}
			result.Acknowledgements = append(result.Acknowledgements, acks...)
		}
		return nil
	}
	all := m.first()
	if err := submit(all); err != nil {
		return Result{}, err
	}
	ids, threads := map[*eventv1.Submission]string{}, map[string]string{}
	for i, s := range all {
		ids[s], threads[s.GetThread()] = result.Acknowledgements[i].EventID, result.Acknowledgements[i].ThreadID
	}
	for _, g := range m.groups {
		result.Threads = append(result.Threads, threads[g.thread(v)])
	}
	if err := submit(m.second(ids, result.Threads)); err != nil {
		return Result{}, err
	}
	result.Notes = m.notes
	return result, nil
}

// importer makes events of a vCon.
type importer struct {
	v     *VCon
	o     Options
	notes []Note
	put   func(context.Context, channel.BlobInfo, io.Reader) (*eventv1.Blob, error)

	people   []person
	groups   []*thread
	of       map[int]*thread // of each dialog
	reports  map[int]bool    // analyses that were understood as reports
	dialogs  map[int]*eventv1.Submission
	analyses []*concluded
}

// person is a party, as the events name it.
type person struct {
	Party
	addresses []*eventv1.Address
	company   bool
	actor     *eventv1.SubmittedActor // of agents and bots
}

// thread is what becomes one.
type thread struct {
	number  int
	dialogs []int
	report  *reportBody
	channel eventv1.Channel
	started time.Time
	said    map[int]messageBody // what the report tells of messages, by their dialogs
	events  []*eventv1.Submission
	people  []int // in order
}

// concluded is an event about an analysis, with the dialog that it is about.
type concluded struct {
	*eventv1.Submission
	about int // -1 for all
}

// thread is the native id of a thread.
func (t *thread) thread(v *VCon) string {
	return threadPrefix + v.UUID + "/" + strconv.Itoa(t.number)
}

func (m *importer) note(path, text string) { m.notes = append(m.notes, Note{path, text}) }

// plan makes the events.
func (m *importer) plan(ctx context.Context) error {
	m.reports, m.dialogs, m.of = map[int]bool{}, map[int]*eventv1.Submission{}, map[int]*thread{}
	m.arrange()
	m.identify()
	for _, t := range m.groups {
		t.started = m.start(t)
		if t.report != nil {
			t.said = map[int]messageBody{}
			for _, b := range t.report.Messages {
				t.said[b.Dialog] = b
			}
		}
		m.begin(t)
	}
	for i := range m.v.Dialog {
		if err := m.dialog(ctx, i); err != nil {
			return err
		}
	}
	for i := range m.v.Attachments {
		if err := m.attach(ctx, i); err != nil {
			return err
		}
	}
	for i := range m.v.Analysis {
		if err := m.analysis(ctx, i); err != nil {
			return err
		}
	}
	m.merge()
	for _, t := range m.groups {
		m.end(t)
	}
	return nil
}

// arrange finds out which dialogs belong together: by Skein's own reports, else calls by what refers to what, and texts by their medium.
func (m *importer) arrange() {
	numbered := map[int]*thread{}
	for i, a := range m.v.Analysis {
		var body reportBody
		if a.Vendor != vendor || a.Schema != schemaReport || json.Unmarshal(a.Body, &body) != nil || numbered[body.Interaction] != nil {
			continue
		}
		t := &thread{report: &body, channel: value[eventv1.Channel](eventv1.Channel_value, "CHANNEL_", body.Channel)}
		for _, d := range a.Dialog {
			if m.of[d] == nil {
				m.of[d] = t
				t.dialogs = append(t.dialogs, d)
			}
		}
		numbered[body.Interaction] = t
		m.reports[i] = true
	}
	for _, n := range slices.Sorted(maps.Keys(numbered)) {
		m.groups = append(m.groups, numbered[n])
	}
	texts := map[string]*thread{}
	for i, d := range m.v.Dialog {
		if m.of[i] != nil {
			continue
		}
		medium := m.medium(d)
		key := cmp.Or(d.Application, medium.String())
		t := texts[key]
		if d.Type != dialogText || t == nil {
			t = &thread{channel: medium}
			m.groups = append(m.groups, t)
			if d.Type == dialogText {
				texts[key] = t
			}
		}
		m.of[i] = t
		t.dialogs = append(t.dialogs, i)
	}
	for i, d := range m.v.Dialog { // transfers and sets hold calls together
		for _, other := range slices.Concat(d.Original, d.Consultation, d.TargetDialog, Indices(d.Recordings), Indices(one(d.RecordingSet))) {
			m.join(m.of[i], m.of[other])
		}
	}
	if len(m.groups) == 0 {
		m.groups = []*thread{{channel: eventv1.Channel_CHANNEL_TASK}}
	}
	for i, t := range m.groups {
		t.number = i
	}
}

// join makes one thread of two, unless a report has said what they are.
func (m *importer) join(a, b *thread) {
	if a == b || a.report != nil || b.report != nil {
		return
	}
	if slices.Index(m.groups, b) < slices.Index(m.groups, a) {
		a, b = b, a
	}
	for _, d := range b.dialogs {
		m.of[d] = a
	}
	a.dialogs = append(a.dialogs, b.dialogs...)
	slices.Sort(a.dialogs)
	m.groups = slices.DeleteFunc(m.groups, func(t *thread) bool { return t == b })
}

// medium guesses the channel of a dialog.
func (m *importer) medium(d Dialog) eventv1.Channel {
	if d.Type != dialogText {
		if strings.HasPrefix(d.Mediatype, "video/") {
			return eventv1.Channel_CHANNEL_VIDEO
		}
		return eventv1.Channel_CHANNEL_VOICE
	}
	mail, phone := 0, 0
	all := d.Parties.All()
	for _, p := range all {
		switch {
		case m.v.Parties[p].Tel != "":
			phone++
		case m.v.Parties[p].Mailto != "":
			mail++
		}
	}
	switch {
	case strings.HasPrefix(d.MessageID, "<") && strings.Contains(d.MessageID, "@"), mail > 0 && mail == len(all):
		return eventv1.Channel_CHANNEL_EMAIL
	case phone > 0 && (d.Application == "" || strings.Contains(strings.ToLower(d.Application), "sms")):
		return eventv1.Channel_CHANNEL_SMS
	case phone > 0:
		return eventv1.Channel_CHANNEL_SOCIAL_MESSAGE
	}
	return eventv1.Channel_CHANNEL_WEB_CHAT
}

// identify finds out who the parties are.
func (m *importer) identify() {
	own := map[event.Endpoint]bool{}
	for _, a := range m.o.Company {
		if e, err := event.Normalise(a); err == nil {
			own[e] = true
		}
	}
	company := map[int]bool{}
	for _, t := range m.groups {
		if t.report != nil {
			for _, p := range t.report.Company {
				company[p] = true
			}
		}
	}
	for i, p := range m.v.Parties {
		who := person{Party: p}
		path := fmt.Sprintf("$.parties[%d]", i)
		for _, a := range []struct {
			member, value string
			address       *eventv1.Address
		}{
			{"tel", p.Tel, m.phone(p.Tel)},
			{"mailto", p.Mailto, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: bareMail(p.Mailto)}},
			{"sip", p.SIP, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: p.SIP}},
			{"did", p.DID, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: didNamespace, Value: p.DID}},
		} {
			if a.value == "" {
				continue
			}
			e, err := event.Normalise(a.address)
			switch {
			case errors.Is(err, event.ErrNoEndpoint):
				continue
			case err != nil:
				m.note(path+"."+a.member, "is no address: "+strings.TrimPrefix(err.Error(), "event: "))
				continue
			}
			who.company = who.company || own[e]
			who.addresses = append(who.addresses, a.address)
		}
		bare := len(who.addresses) == 0 && p.UUID != ""
		who.company = who.company || company[i] || p.Type == typeBot || p.Type == typeOrganization || bare && len(m.reports) == 0
		if bare {
			m.bare(path, &who)
		}
		m.people = append(m.people, who)
	}
}

// bare makes an address of a party's uuid; the company's own are its agents and bots, whom a report tells by their type.
func (m *importer) bare(path string, who *person) {
	a := &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: partyNamespace, Value: who.UUID}
	if _, err := event.Normalise(a); err != nil {
		m.note(path+".uuid", "is no id: "+err.Error())
		return
	}
	who.addresses = []*eventv1.Address{a}
	if !who.company || who.Type == typeOrganization || who.Type == "" && len(m.reports) > 0 {
		return
	}
	kind := eventv1.ActorKind_ACTOR_KIND_AGENT
	a.Namespace = agentNamespace
	if who.Type == typeBot {
		kind, a.Namespace = eventv1.ActorKind_ACTOR_KIND_BOT, botNamespace
	}
	id := who.UUID
	if m.o.Keyring != nil && who.Name != "" && actorID.MatchString(who.Name) {
		for _, ids := range m.o.Keyring.TenantAll(m.o.Tenant) {
			if agentUUID(ids, who.Name) == who.UUID {
				id = who.Name
			}
		}
	}
	if !actorID.MatchString(id) {
		sum := sha256.Sum256([]byte(id))
		id = fmt.Sprintf("%x", sum[:16])
	}
	who.actor = &eventv1.SubmittedActor{Kind: kind, Id: id}
}

var (
	actorID      = regexp.MustCompile(`^[A-Za-z0-9._:/@+-]{1,128}$`)
	providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	languageTag  = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)
	regionName   = regexp.MustCompile(`^[A-Z]{2}$`)
)

// phone reads a tel URL (RFC 3966).
func (m *importer) phone(tel string) *eventv1.Address {
	a := &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: tel, Region: m.o.Region}
	if number, region, ok := strings.Cut(tel, ";phone-context="); ok && regionName.MatchString(region) {
		a.Value, a.Region = number, region
	}
	return a
}

// submission is an event of a thread, by the system unless somebody else is named.
func (m *importer) submission(t *thread, typ, native string, at time.Time) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, Channel: t.channel, Provider: defaultProvider, Inbox: m.o.Inbox, Thread: t.thread(m.v), NativeId: native, OccurredAt: of(at), Backfill: true,
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, Content: &eventv1.Content{},
	}
	if r := t.report; r != nil {
		s.Direction = value[eventv1.Direction](eventv1.Direction_value, "DIRECTION_", r.Direction)
		s.Origin = value[eventv1.Origin](eventv1.Origin_value, "ORIGIN_", r.Origin)
		if len(r.Language) <= 35 && languageTag.MatchString(r.Language) {
			s.Language = r.Language
		}
		s.Provider = providerOf(r.Application)
	}
	return s
}

func providerOf(application string) string {
	if providerName.MatchString(application) {
		return application
	}
	return defaultProvider
}

// parties lists people in their order: the first began it.
func (m *importer) parties(first, rest eventv1.PartyRole, people ...int) []*eventv1.SubmittedParty {
	var all []*eventv1.SubmittedParty
	for i, p := range people {
		role := rest
		if i == 0 {
			role = first
		}
		all = append(all, m.party(p, role))
	}
	return all
}

func (m *importer) party(i int, role eventv1.PartyRole) *eventv1.SubmittedParty {
	who := m.people[i]
	p := &eventv1.SubmittedParty{Role: role, Side: eventv1.Side_SIDE_CUSTOMER}
	if who.company {
		p.Side = eventv1.Side_SIDE_COMPANY
	}
	if len(who.addresses) > 0 {
		p.Address = who.addresses[0]
	}
	if len(who.addresses) > 0 || !strings.EqualFold(who.Name, anonymous) {
		p.DisplayName = clip(who.Name, 512)
	}
	return p
}

// clip cuts a text to so many characters.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most])
}

// start is when a thread begins.
func (m *importer) start(t *thread) time.Time {
	var at time.Time
	if t.report != nil {
		at, _ = moment("", t.report.StartedAt)
	}
	for _, d := range t.dialogs {
		start, _ := moment("", m.v.Dialog[d].Start) // Read has looked
		if at.IsZero() || t.report == nil && start.Before(at) {
			at = start
		}
	}
	if at.IsZero() {
		at, _ = moment("", m.v.CreatedAt)
	}
	return at
}

// begin makes the events by which an interaction begins.
func (m *importer) begin(t *thread) {
	if t.report != nil {
		for _, p := range t.report.Parties {
			if p >= 0 && p < len(m.people) {
				t.people = append(t.people, p)
			}
		}
	}
	for _, d := range t.dialogs {
		if t.report == nil {
			t.people = append(t.people, m.v.Dialog[d].Parties.All()...)
		}
	}
	if len(t.dialogs) == 0 && t.report == nil { // there is nothing but parties
		for p := range m.people {
			t.people = append(t.people, p)
		}
	}
	seen := map[int]bool{}
	t.people = slices.DeleteFunc(t.people, func(p int) bool { defer func() { seen[p] = true }(); return seen[p] })
	s := m.submission(t, event.TypeInteractionStarted, "started", t.started)
	if t.report == nil && len(t.dialogs) > 0 {
		s.Provider = providerOf(m.v.Dialog[t.dialogs[0]].Application)
	}
	began := &eventv1.InteractionStarted{}
	switch {
	case t.report != nil:
		began.Subject = t.report.Subject
	case t.number == 0:
		began.Subject = m.v.Subject
	}
	s.Content.Body = &eventv1.Content_InteractionStarted{InteractionStarted: began}
	s.Parties = m.parties(eventv1.PartyRole_PARTY_ROLE_INITIATOR, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, t.people[:min(len(t.people), event.MaxParties)]...)
	t.events = append(t.events, s)
}

// merge tells of parties with several addresses that these are one person's.
func (m *importer) merge() {
	for i, who := range m.people {
		if who.company || len(who.addresses) < 2 {
			continue
		}
		for _, t := range m.groups {
			if !slices.Contains(t.people, i) {
				continue
			}
			s := m.submission(t, event.TypeIdentityAsserted, "party/"+strconv.Itoa(i), t.started)
			for _, a := range who.addresses {
				s.Parties = append(s.Parties, &eventv1.SubmittedParty{Address: a, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: clip(who.Name, 512)})
			}
			s.Content.Body = &eventv1.Content_IdentityAsserted{IdentityAsserted: &eventv1.IdentityAsserted{
				Evidence: eventv1.IdentityEvidence_IDENTITY_EVIDENCE_RECORD, Source: "vcon", Reason: "one party of vCon " + m.v.UUID,
			}}
			t.events = append(t.events, s)
			break
		}
	}
}

// end makes the events by which an interaction is categorised, resolved and ended.
func (m *importer) end(t *thread) {
	r := t.report
	if r == nil {
		return
	}
	over := t.started
	for _, s := range t.events {
		if s.GetOccurredAt().AsTime().After(over) {
			over = s.GetOccurredAt().AsTime()
		}
	}
	ended, err := moment("", r.EndedAt)
	if err == nil {
		over = ended
	}
	if len(r.Tags) > 0 || r.Priority > 0 || len(r.Attributes) > 0 {
		s := m.submission(t, event.TypeInteractionAttributesUpdated, "attributes", over)
		s.Content.Body = &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{TagsAdded: r.Tags, Priority: max(r.Priority, 0), Attributes: r.Attributes}}
		t.events = append(t.events, s)
	}
	if len(r.ContactReason) > 0 || r.Disposition != "" || r.Complaint {
		s := m.submission(t, event.TypeInteractionCategorized, "category", over)
		s.Content.Body = &eventv1.Content_InteractionCategorized{InteractionCategorized: &eventv1.InteractionCategorized{ContactReason: r.ContactReason, Disposition: r.Disposition, Complaint: r.Complaint}}
		t.events = append(t.events, s)
	}
	if r.EndedAt != "" && err == nil {
		s := m.submission(t, event.TypeInteractionEnded, "ended", ended)
		s.Content.Body = &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: value[eventv1.EndReason](eventv1.EndReason_value, "END_REASON_", r.EndReason)}}
		t.events = append(t.events, s)
	}
	if resolved, err := moment("", r.ResolvedAt); err == nil {
		s := m.submission(t, event.TypeInteractionResolved, "resolved", resolved)
		s.Content.Body = &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{Resolution: r.Resolution}}
		t.events = append(t.events, s)
	}
}

// origin tells which vCon the conversation came from.
func (m *importer) origin(i imported, original *eventv1.Blob) error {
	data, err := encode(i)
	if err != nil {
		return fmt.Errorf("vcon: import: %w", err)
	}
	t := m.groups[0]
	s := m.submission(t, importedType, m.v.UUID, t.started)
	s.Content.Body = &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: data}}
	s.Content.Original = original
	t.events = append(t.events, s)
	return nil
}

// first are the events that depend on no other.
func (m *importer) first() []*eventv1.Submission {
	var all []*eventv1.Submission
	for _, t := range m.groups {
		for _, s := range t.events {
			m.seal(s)
		}
		all = append(all, t.events...)
	}
	return all
}

// second are the events about others, and the link that makes one conversation of the threads.
func (m *importer) second(ids map[*eventv1.Submission]string, threads []string) []*eventv1.Submission {
	var all []*eventv1.Submission
	for _, a := range m.analyses {
		if s := m.dialogs[a.about]; s != nil {
			a.CausationId = ids[s]
		}
		m.seal(a.Submission)
		all = append(all, a.Submission)
	}
	if len(threads) > 1 {
		s := m.submission(m.groups[0], event.TypeConversationLinked, "link", m.groups[0].started)
		s.Content.Body = &eventv1.Content_ConversationLinked{ConversationLinked: &eventv1.ConversationLinked{
			Members: threads, Reason: "vCon " + m.v.UUID, Automatic: true, Rule: "vcon",
		}}
		m.seal(s)
		all = append(all, s)
	}
	return all
}

// seal makes what an event says a part of its id: a vCon that has grown since it was taken in adds to it and contradicts nothing.
func (m *importer) seal(s *eventv1.Submission) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		return // the host refuses it, and says why
	}
	sum := sha256.Sum256(raw)
	s.Discriminator = sum[:16]
}

func duration(s Seconds) *durationpb.Duration {
	if s == 0 {
		return nil
	}
	return durationpb.New(time.Duration(s))
}
