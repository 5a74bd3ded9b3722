package vcon

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// partyNamespace is the name space of what a vCon names by a uuid only. Behind a slash follows the type, of agents and bots.
const (
	partyNamespace = "vcon"
	agentNamespace = partyNamespace + "/agent"
	botNamespace   = partyNamespace + "/bot"
	didNamespace   = "did"
)

// agentUUID is the uuid of an agent or bot: always the same, and another one in each tenant. An id that is a uuid is its own.
func agentUUID(ids *event.IDs, id string) string {
	if u, err := event.ParseID(id); err == nil {
		return u.String()
	}
	return ids.Endpoint(event.Endpoint{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: agentNamespace, Value: id}).String()
}

// party gives the one party that goes by a key, and learns what this mention tells of it.
func (x *exporter) party(key string, p Party, company bool) *party {
	known := x.parties[key]
	if known == nil {
		known = &party{Party: p, company: company, number: -1}
		x.parties[key] = known
	}
	if known.Name == "" {
		known.Name = p.Name
	}
	known.Type = cmp.Or(known.Type, p.Type) // of agents and bots
	known.company = known.company || company
	return known
}

// settle finds the type of a party, once all is known of it: of the company's own, one without a name of its own is no person.
func (p *party) settle() {
	bare := p.Party == Party{Name: p.Name}
	switch {
	case p.Type != "" || bare && p.Name == anonymous:
	case p.company && (p.Name == "" || bare):
		p.Type = typeOrganization
	case !p.company && p.customer:
		p.Type = typePerson
	}
}

// actor is the party of an agent or bot; nil for others.
func (x *exporter) actor(e told) *party {
	a := e.GetActor()
	var typ string
	switch a.GetKind() {
	case eventv1.ActorKind_ACTOR_KIND_AGENT:
		typ = typePerson
	case eventv1.ActorKind_ACTOR_KIND_BOT:
		typ = typeBot
	default:
		return nil
	}
	if a.GetId() == "" {
		return nil
	}
	uuid := agentUUID(x.ids, a.GetId())
	p := Party{UUID: uuid, Type: typ}
	if uuid != a.GetId() {
		p.Name = a.GetId()
	}
	return x.party("uuid/"+uuid, p, true)
}

// part is a party of an event, with its role.
type part struct {
	*party
	role eventv1.PartyRole
	side eventv1.Side
}

// parts are the parties of an event: who began, to whom, and the others.
func (x *exporter) parts(g *group, e told) []part {
	var all []part
	for i, detail := range e.content.GetParties() {
		in := &eventv1.Party{}
		if i < len(e.GetParties()) {
			in = e.GetParties()[i]
		}
		p := x.partyOf(g, e, in, detail)
		p.customer = p.customer || in.GetSide() == eventv1.Side_SIDE_CUSTOMER
		all = append(all, part{p, in.GetRole(), in.GetSide()})
	}
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(rank(a.role), rank(b.role)) })
	return all
}

// rank is the order of roles in a dialog: From, To, Cc, Bcc.
func rank(r eventv1.PartyRole) int {
	switch r {
	case eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.PartyRole_PARTY_ROLE_AUTHOR, eventv1.PartyRole_PARTY_ROLE_INITIATOR:
		return 0
	case eventv1.PartyRole_PARTY_ROLE_TO, eventv1.PartyRole_PARTY_ROLE_RECIPIENT:
		return 1
	case eventv1.PartyRole_PARTY_ROLE_CC:
		return 2
	case eventv1.PartyRole_PARTY_ROLE_BCC:
		return 3
	default:
		return 4
	}
}

// partyOf is the party that an event names.
func (x *exporter) partyOf(g *group, e told, in *eventv1.Party, detail *eventv1.PartyDetail) *party {
	company := in.GetSide() == eventv1.Side_SIDE_COMPANY
	p := Party{Name: detail.GetDisplayName()}
	address := detail.GetAddress()
	switch kind, namespace := kindOf(in, detail), detail.GetNamespace(); {
	case address == "" && in.GetEndpointId() != "":
		p.UUID = in.GetEndpointId()
	case address == "":
		return x.withoutAddress(g, e, p, in)
	case kind == eventv1.EndpointKind_ENDPOINT_KIND_PHONE:
		p.Tel = address
		if namespace != "" {
			p.Tel += ";phone-context=" + namespace
		}
		return x.party("tel/"+p.Tel, p, company)
	case kind == eventv1.EndpointKind_ENDPOINT_KIND_EMAIL:
		p.Mailto = address
		return x.party("mailto/"+address, p, company)
	case kind == eventv1.EndpointKind_ENDPOINT_KIND_SIP:
		p.SIP = "sip:" + address
		return x.party("sip/"+address, p, company)
	case namespace == didNamespace:
		p.DID = address
		return x.party("did/"+address, p, company)
	case namespace == agentNamespace:
		p.UUID, p.Type = address, typePerson
	case namespace == botNamespace:
		p.UUID, p.Type = address, typeBot
	case namespace == partyNamespace:
		p.UUID = address
	default:
		p.UUID = in.GetEndpointId()
	}
	return x.party("uuid/"+p.UUID, p, company)
}

// kindOf is the kind of an address; of parties beyond those that an envelope shows, as far as the address tells.
func kindOf(in *eventv1.Party, detail *eventv1.PartyDetail) eventv1.EndpointKind {
	switch address := detail.GetAddress(); {
	case in.GetKind() != eventv1.EndpointKind_ENDPOINT_KIND_UNSPECIFIED:
		return in.GetKind()
	case detail.GetNamespace() == "" && strings.HasPrefix(address, "+"):
		return eventv1.EndpointKind_ENDPOINT_KIND_PHONE
	case detail.GetNamespace() == "" && strings.Contains(address, "@"):
		return eventv1.EndpointKind_ENDPOINT_KIND_EMAIL
	}
	return eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
}

// withoutAddress is a party that the channel names, or not even that: all of those on one side are taken for one. An agent whom a message
// shows by a name is that agent.
func (x *exporter) withoutAddress(g *group, e told, p Party, in *eventv1.Party) *party {
	scope := strconv.Itoa(slices.Index(x.groups, g))
	switch company := in.GetSide() == eventv1.Side_SIDE_COMPANY; {
	case company && rank(in.GetRole()) == 0 && x.actor(e) != nil:
		who := x.actor(e)
		who.Name = cmp.Or(p.Name, who.Name)
		return who
	case p.Name == "" || strings.EqualFold(p.Name, anonymous):
		return x.party("anonymous/"+scope+"/"+strconv.FormatBool(company), Party{Name: anonymous}, company)
	case company:
		return x.party("company/"+p.Name, p, true)
	default:
		return x.party("name/"+scope+"/"+p.Name, p, false)
	}
}

// add adds parties, each once.
func add(to []*party, more ...*party) []*party {
	for _, p := range more {
		if p != nil && !slices.Contains(to, p) {
			to = append(to, p)
		}
	}
	return to
}

// tell makes the dialogs and analyses of an interaction.
func (x *exporter) tell(ctx context.Context, g *group) error {
	if err := x.messages(ctx, g); err != nil {
		return err
	}
	x.whoTookPart(g)
	if g.isCall() {
		if err := x.call(ctx, g); err != nil {
			return err
		}
	}
	x.transfers(g)
	for _, e := range g.events {
		x.conclude(g, e)
	}
	return nil
}

func (g *group) isCall() bool {
	return g.channel == eventv1.Channel_CHANNEL_VOICE || g.channel == eventv1.Channel_CHANNEL_VIDEO
}

func (g *group) application() string {
	if g.provider == defaultProvider {
		return ""
	}
	return g.provider
}

// whoTookPart finds the parties of an interaction, in the order in which they show.
func (x *exporter) whoTookPart(g *group) {
	said := map[string]*dialog{}
	for _, d := range g.dialogs {
		said[d.event] = d
	}
	for _, e := range g.events {
		switch e.GetType() {
		case event.TypeAssignmentOffered, event.TypeAssignmentDeclined, event.TypeTransferStarted, event.TypeTransferCompleted, event.TypeTransferFailed,
			event.TypeNoteAdded, event.TypeCallFailed, event.TypeCallDialed, event.TypeMessageSendRequested, event.TypeMessageDelivered,
			event.TypeMessageRead, event.TypeMessageFailed, event.TypeMessageEdited, event.TypeMessageDeleted, event.TypeMessageReacted, event.TypeWrapupStarted, event.TypeWrapupEnded,
			event.TypeInteractionCategorized, event.TypeInteractionAttributesUpdated, event.TypeInteractionResolved, event.TypeInteractionEnded,
			event.TypeInteractionStatusChanged, event.TypeInteractionReopened, event.TypeInsightInferred, event.TypeSurveySent:
			continue // who works on it, or was called in vain, does not take part
		case event.TypeMessageReceived, event.TypeMessageSent:
			if d := said[e.GetId()]; d != nil {
				g.parties = add(g.parties, d.parties...)
			}
			continue
		}
		for _, p := range x.parts(g, e) {
			g.parties = add(g.parties, p.party)
		}
		g.parties = add(g.parties, x.actor(e))
	}
}

// customer is the first one of an interaction; nil where there is none.
func (g *group) customer() *party {
	for _, p := range g.parties {
		if !p.company {
			return p
		}
	}
	return nil
}

// messages makes a text dialog of each message.
func (x *exporter) messages(ctx context.Context, g *group) error {
	edited, deleted, blind := map[string]*eventv1.Message{}, map[string]bool{}, map[string][]*party{}
	for _, e := range g.events {
		c := e.content
		switch e.GetType() {
		case event.TypeMessageEdited:
			if c.GetMessageEdited().GetEdited() != nil {
				edited[c.GetMessageEdited().GetMessage()] = c.GetMessageEdited().GetEdited()
			}
		case event.TypeMessageDeleted:
			deleted[c.GetMessageDeleted().GetMessage()] = true
		case event.TypePartyJoined: // of a mail, who got it blind
			for _, p := range x.parts(g, e) {
				if p.role == eventv1.PartyRole_PARTY_ROLE_BCC {
					blind[c.GetNativeId()] = append(blind[c.GetNativeId()], p.party)
				}
			}
		}
	}
	for _, e := range g.events {
		m := e.content.GetMessageReceived()
		if m == nil {
			m = e.content.GetMessageSent()
		}
		if m == nil || e.GetType() != event.TypeMessageReceived && e.GetType() != event.TypeMessageSent {
			continue
		}
		native := e.content.GetNativeId()
		d := &dialog{group: g, event: e.GetId(), start: e.at, meta: messageBody{Subject: m.GetSubject(), InReplyTo: m.GetInReplyTo(), AutoReply: m.GetAutoReply(), Bulk: m.GetBulk()}}
		d.Type, d.Application = dialogText, g.application()
		if !strings.HasPrefix(native, dialogPrefix) {
			d.MessageID = native
		}
		if edited[native] != nil {
			m = edited[native]
		}
		x.addressed(g, d, e)
		d.parties = add(d.parties, blind[native]...)
		if deleted[native] {
			d.Mediatype = textPlain
			x.leftOut = append(x.leftOut, Note{e.GetId(), "the message was taken back"})
		} else if err := x.text(ctx, d, e, m); err != nil {
			return err
		}
		g.dialogs = append(g.dialogs, d)
	}
	return nil
}

// addressed finds out from whom and to whom a message is. Who writes for the company stands behind its address, where that has one.
func (x *exporter) addressed(g *group, d *dialog, e told) {
	parts := x.parts(g, e)
	sent := e.GetType() == event.TypeMessageSent
	sender := slices.IndexFunc(parts, func(p part) bool {
		return rank(p.role) == 0 && (!sent || p.side == eventv1.Side_SIDE_COMPANY)
	})
	if sender < 0 && !sent {
		sender = slices.IndexFunc(parts, func(p part) bool { return !p.company })
	}
	var actor *party
	if sent {
		actor = x.actor(e)
	}
	switch {
	case sender >= 0:
		d.parties = add(d.parties, parts[sender].party)
	case actor != nil:
		d.parties = add(d.parties, actor)
	case sent:
		d.parties = add(d.parties, x.party("company/"+e.GetInbox(), Party{Name: e.GetInbox()}, true))
	default:
		d.parties = add(d.parties, x.withoutAddress(g, e, Party{}, &eventv1.Party{}))
	}
	for _, p := range parts {
		if p.party != actor {
			d.parties = add(d.parties, p.party)
		}
	}
	d.parties = add(d.parties, actor)
	if actor != nil && d.parties[0] != actor {
		d.originator = actor
	}
}

const textPlain = "text/plain"

// text is what a message says, and its files.
func (x *exporter) text(ctx context.Context, d *dialog, e told, m *eventv1.Message) error {
	text, html := m.GetText(), m.GetHtml()
	d.Mediatype, d.Encoding = textPlain, encodingNone
	switch l := m.GetLocation(); {
	case text == "" && html != "":
		text, html, d.Mediatype = html, "", textHTML
	case text == "" && l != nil:
		text = strings.TrimSpace(l.GetLabel() + " geo:" + strconv.FormatFloat(l.GetLatitude(), 'f', -1, 64) + "," + strconv.FormatFloat(l.GetLongitude(), 'f', -1, 64))
	}
	var err error
	if d.Body, err = encode(text); err != nil {
		return err
	}
	if html != "" {
		body, err := encode(html)
		if err != nil {
			return err
		}
		d.files = append(d.files, &attachment{Attachment: Attachment{Purpose: purposeHTML, Start: stamp(d.start), Content: Content{Mediatype: textHTML, Body: body, Encoding: encodingNone}}})
	}
	for i := range e.content.GetAttachments() {
		if err := x.file(ctx, d, e, i); err != nil {
			return err
		}
	}
	return nil
}

// The purposes of attachments.
const (
	purposeHTML       = "html"
	purposeInline     = "inline"
	purposeAttachment = "attachment"
	textHTML          = "text/html"
)

// file adds a file of an event to its dialog.
func (x *exporter) file(ctx context.Context, d *dialog, e told, i int) error {
	c, err := x.content(ctx, e, i)
	if err != nil {
		return err
	}
	purpose := purposeAttachment
	if e.content.GetAttachments()[i].GetInline() {
		purpose = purposeInline
	}
	d.files = append(d.files, &attachment{Attachment: Attachment{Purpose: purpose, Start: stamp(d.start), Content: c}})
	return nil
}

// call makes the dialogs of a call: its recordings; without any, one that tells that it took place; or why it did not.
func (x *exporter) call(ctx context.Context, g *group) error {
	var recordings []*dialog
	for _, e := range g.events {
		d := &dialog{group: g, event: e.GetId()}
		var duration time.Duration
		switch e.GetType() {
		case event.TypeRecordingAvailable:
			r := e.content.GetRecordingAvailable()
			duration = r.GetDuration().AsDuration()
			d.recording, d.stereo = r.GetRecording(), r.GetSoundChannels() == 2
			d.start = e.at.Add(-duration)
			if r.GetStartedAt() != nil {
				d.start = r.GetStartedAt().AsTime()
			}
		case event.TypeVoicemailLeft:
			duration = e.content.GetVoicemailLeft().GetDuration().AsDuration()
			d.recording, d.start = e.content.GetNativeId(), e.at.Add(-duration)
		default:
			continue
		}
		d.Type, d.Application, d.parties = dialogRecording, g.application(), x.present(g)
		d.last(duration)
		for i := range e.content.GetAttachments() {
			if i > 0 {
				if err := x.file(ctx, d, e, i); err != nil {
					return err
				}
				continue
			}
			var err error
			if d.Content, err = x.content(ctx, e, i); err != nil {
				return err
			}
		}
		recordings = append(recordings, d)
	}
	failed := x.failures(g)
	if len(recordings) == 0 {
		if d := x.unrecorded(g, len(failed) > 0); d != nil {
			recordings = append(recordings, d)
		}
	}
	slices.SortStableFunc(recordings, func(a, b *dialog) int { return a.start.Compare(b.start) })
	x.history(g, recordings)
	g.dialogs = append(append(g.dialogs, recordings...), failed...)
	return nil
}

// last sets how long a dialog lasted.
func (d *dialog) last(duration time.Duration) {
	d.end = d.start.Add(max(duration, 0))
	d.Duration = Seconds(max(duration, 0))
}

// present are the parties of a call.
func (x *exporter) present(g *group) []*party {
	if len(g.parties) == 0 {
		g.parties = []*party{x.withoutAddress(g, told{}, Party{}, &eventv1.Party{})}
	}
	return g.parties
}

// failures are the legs that came to nothing.
func (x *exporter) failures(g *group) []*dialog {
	var all []*dialog
	for _, e := range g.events {
		if e.GetType() != event.TypeCallFailed {
			continue
		}
		d := &dialog{group: g, event: e.GetId(), start: e.at}
		d.Type, d.Application, d.Disposition = dialogIncomplete, g.application(), dispositionOf(e.content.GetCallFailed().GetFailure())
		for _, p := range x.parts(g, e) {
			d.parties = add(d.parties, p.party)
		}
		if d.parties = add(d.parties, x.actor(e)); len(d.parties) == 0 {
			d.parties = x.present(g)
		}
		all = append(all, d)
	}
	return all
}

// The dispositions of incomplete dialogs.
const (
	dispositionNoAnswer   = "no-answer"
	dispositionCongestion = "congestion"
	dispositionFailed     = "failed"
	dispositionBusy       = "busy"
	dispositionHungUp     = "hung-up"
	dispositionNoMessage  = "voicemail-no-message"
)

func dispositionOf(f eventv1.CallFailure) string {
	switch f {
	case eventv1.CallFailure_CALL_FAILURE_BUSY:
		return dispositionBusy
	case eventv1.CallFailure_CALL_FAILURE_NO_ANSWER:
		return dispositionNoAnswer
	case eventv1.CallFailure_CALL_FAILURE_CANCELED:
		return dispositionHungUp
	case eventv1.CallFailure_CALL_FAILURE_CONGESTION:
		return dispositionCongestion
	default:
		return dispositionFailed
	}
}

// unrecorded is the dialog of a call without recordings: one without content where people talked; nil where it came to nothing and its
// failures say so, or where it still rings.
func (x *exporter) unrecorded(g *group, failed bool) *dialog {
	var queued, connected, ended bool
	var answered, machine time.Time
	end := g.interaction.GetEndedAt()
	for _, e := range g.events {
		switch e.GetType() {
		case event.TypeQueueEntered:
			queued = true
		case event.TypeAssignmentConnected, event.TypeBotStarted, event.TypeTranscriptAvailable:
			connected = true
		case event.TypeInteractionEnded:
			ended = true
		case event.TypeCallAnswered:
			if e.content.GetCallAnswered().GetAnsweredBy() == eventv1.AnsweredBy_ANSWERED_BY_MACHINE {
				machine = e.at
			} else {
				answered = e.at
			}
		}
	}
	d := &dialog{group: g, start: g.events[0].at}
	d.Application = g.application()
	switch {
	case connected, !answered.IsZero() && !queued: // the switch answers before a queue
		d.Type = dialogRecording
		if end != nil {
			d.last(end.AsTime().Sub(d.start))
		}
	case failed:
		return nil
	case !machine.IsZero():
		d.Type, d.Disposition, d.start = dialogIncomplete, dispositionNoMessage, machine
	case ended:
		d.Type, d.Disposition = dialogIncomplete, dispositionHungUp
	default:
		return nil
	}
	d.parties = x.present(g)
	return d
}

// history tells who came and went during a call, in the recording that was running.
func (x *exporter) history(g *group, recordings []*dialog) {
	at := func(t time.Time) *dialog {
		for _, d := range recordings {
			if !t.Before(d.start) && !t.After(d.end) {
				return d
			}
		}
		return recordings[0]
	}
	if len(recordings) == 0 || recordings[0].Type == dialogIncomplete {
		return
	}
	for _, e := range g.events {
		what, button := "", ""
		var who []*party
		switch actor, parts := x.actor(e), x.parts(g, e); e.GetType() {
		case event.TypeAssignmentConnected:
			what, who = historyJoin, add(nil, actor)
		case event.TypeAssignmentEnded:
			what, who = historyDrop, add(nil, actor)
		case event.TypePartyJoined:
			what, who = historyJoin, comers(actor, parts)
		case event.TypePartyLeft:
			what, who = historyDrop, comers(actor, parts)
		case event.TypeAssignmentHeld:
			what, who = historyHold, waiting(g, parts)
		case event.TypeAssignmentUnheld:
			what, who = historyUnhold, waiting(g, parts)
		case historyType:
			var h History
			if json.Unmarshal(e.content.GetExtension().GetData(), &h) == nil && len(parts) > 0 {
				what, button, who = h.Event, h.Button, []*party{parts[0].party}
			}
		}
		d := at(e.at)
		for _, p := range who {
			d.history = append(d.history, happened{e.at, what, button, p})
		}
	}
}

// historyType is the event of what a party did that Skein has no event for.
const historyType = "ext.vcon.party_history"

func comers(actor *party, parts []part) []*party {
	if actor != nil {
		return []*party{actor}
	}
	var who []*party
	for _, p := range parts {
		who = add(who, p.party)
	}
	return who
}

// waiting is who is on hold: the customer, unless somebody else is named alone.
func waiting(g *group, parts []part) []*party {
	for _, p := range parts {
		if !p.company {
			return []*party{p.party}
		}
	}
	if len(parts) == 1 {
		return []*party{parts[0].party}
	}
	return add(nil, g.customer())
}

// transfers makes a dialog of each transfer.
func (x *exporter) transfers(g *group) {
	said := slices.Clone(g.dialogs)
	for _, e := range g.events {
		if e.GetType() != event.TypeTransferCompleted {
			continue
		}
		d := &dialog{group: g, event: e.GetId(), start: e.at, transferor: x.actor(e)}
		d.Type, d.Application = dialogTransfer, g.application()
		for _, p := range x.parts(g, e) {
			switch {
			case p.role == eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET:
				d.target = add(d.target, p.party)
			case !p.company && d.transferee == nil:
				d.transferee = p.party
			}
		}
		if d.transferee == nil {
			d.transferee = g.customer()
		}
		if len(d.target) == 0 {
			d.target = add(nil, x.target(e.content.GetTransferCompleted()))
		}
		for _, o := range said {
			switch {
			case o.Type == dialogIncomplete:
			case o.Type == dialogText && o.start.After(d.start):
				d.follows = append(d.follows, o)
			case !o.start.After(d.start):
				d.original = append(d.original, o)
				if o.Type == dialogRecording && o.end.After(d.start) {
					d.follows = append(d.follows, o)
				}
			default:
				d.follows = append(d.follows, o)
			}
		}
		g.dialogs = append(g.dialogs, d)
	}
}

// target is whom a call was handed to: a queue, an address or an agent.
func (x *exporter) target(t *eventv1.TransferCompleted) *party {
	to := t.GetTarget()
	switch {
	case to == "":
		return nil
	case t.GetKind() == eventv1.TransferKind_TRANSFER_KIND_QUEUE:
		return x.party("company/"+to, Party{Name: to}, true)
	case strings.HasPrefix(to, "+"):
		if n, err := event.Normalise(&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: to}); err == nil {
			return x.party("tel/"+n.Value, Party{Tel: n.Value}, false)
		}
	case strings.HasPrefix(to, "sip:"):
		if n, err := event.Normalise(&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: to}); err == nil {
			return x.party("sip/"+n.Value, Party{SIP: "sip:" + n.Value}, false)
		}
	}
	uuid := agentUUID(x.ids, to)
	return x.party("uuid/"+uuid, Party{UUID: uuid, Name: to, Type: typePerson}, true)
}
