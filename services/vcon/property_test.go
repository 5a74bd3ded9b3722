package vcon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
	"github.com/skein-cx/skein/services/vcon"
)

// story draws what happens in some threads.
type story struct {
	*rapid.T
	tb     testing.TB // of the whole test
	host   *channeltest.Host
	tenant string // its own
	n      int
}

func pick[V any](t *rapid.T, name string, all ...V) V { return rapid.SampledFrom(all).Draw(t, name) }

func (s *story) text(name string) string {
	return pick(s.T, name, "", "Hello", "你好，灯坏了", "a <b> & \"c\"\n\tend", "🙂\u2028", rapid.String().Draw(s.T, name+" in full"))
}

func (s *story) party(role eventv1.PartyRole) *eventv1.SubmittedParty {
	p := &eventv1.SubmittedParty{Role: role, Side: pick(s.T, "side", eventv1.Side_SIDE_CUSTOMER, eventv1.Side_SIDE_COMPANY), DisplayName: pick(s.T, "name", "", "Anna", "王梅", "Anonymous")}
	p.Address = pick(s.T, "address", nil,
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "+4930901820"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "110", Region: "DE"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "2001"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "Anna+x@Example.com"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: `"a b"@example.com`},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: "sip:bob@pbx.example;transport=tcp"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat/gh_1", Value: "o-17"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: "v-1"},
		&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "crm", Value: "77"},
	)
	return p
}

func (s *story) actor() *eventv1.SubmittedActor {
	return pick(s.T, "actor", nil, bob, carol, robot, &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER})
}

func (s *story) duration(name string) *durationpb.Duration {
	return durationpb.New(time.Duration(pick(s.T, name, 0, 1, 1_500_000_000, 33_120_000_000, 61_000_000_001)))
}

// bodies are what may happen.
func (s *story) body() *eventv1.Content {
	switch pick(s.T, "type", "received", "sent", "deleted", "edited", "joined", "left", "connected", "held", "unheld", "ended", "recording", "voicemail",
		"failed", "answered", "transfer", "transcript", "insight", "handed", "survey", "note", "queued", "over", "resolved", "category", "tags", "page", "started", "offered") {
	case "received":
		return message(&eventv1.Message{Subject: pick(s.T, "subject", "", "Lamp"), Text: s.text("text"), Html: pick(s.T, "html", "", "<p>hi</p>"), AutoReply: rapid.Bool().Draw(s.T, "auto")}, false)
	case "sent":
		return message(&eventv1.Message{Subject: pick(s.T, "subject", "", "Lamp"), Text: s.text("text"), InReplyTo: pick(s.T, "reply", "", "<1@x>")}, true)
	case "deleted":
		return &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: pick(s.T, "message", "1", "2", "9")}}}
	case "edited":
		return &eventv1.Content{Body: &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{Message: pick(s.T, "message", "1", "2"), Edited: &eventv1.Message{Text: s.text("edited")}}}}
	case "joined":
		return &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{}}}
	case "left":
		return &eventv1.Content{Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{}}}
	case "connected":
		return &eventv1.Content{Body: &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}}}
	case "held":
		return &eventv1.Content{Body: &eventv1.Content_AssignmentHeld{AssignmentHeld: &eventv1.AssignmentHeld{}}}
	case "unheld":
		return &eventv1.Content{Body: &eventv1.Content_AssignmentUnheld{AssignmentUnheld: &eventv1.AssignmentUnheld{}}}
	case "ended":
		return &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{}}}
	case "recording":
		r := &eventv1.RecordingAvailable{Recording: pick(s.T, "recording", "", "R1", "R2"), Duration: s.duration("length"), SoundChannels: pick[int32](s.T, "channels", 0, 1, 2)}
		if rapid.Bool().Draw(s.T, "stated") {
			r.StartedAt = timestamppb.New(day.Add(time.Duration(pick(s.T, "begin", -5, 0, 3, 7)) * time.Second))
		}
		return &eventv1.Content{Body: &eventv1.Content_RecordingAvailable{RecordingAvailable: r}}
	case "voicemail":
		return &eventv1.Content{Body: &eventv1.Content_VoicemailLeft{VoicemailLeft: &eventv1.VoicemailLeft{Duration: s.duration("length"), Transcript: s.text("voicemail")}}}
	case "failed":
		return &eventv1.Content{Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{Failure: eventv1.CallFailure(rapid.Int32Range(0, 6).Draw(s.T, "failure"))}}}
	case "answered":
		return &eventv1.Content{Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{AnsweredBy: eventv1.AnsweredBy(rapid.Int32Range(0, 3).Draw(s.T, "by"))}}}
	case "transfer":
		return &eventv1.Content{Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Kind: eventv1.TransferKind(rapid.Int32Range(0, 3).Draw(s.T, "kind")), Target: pick(s.T, "target", "", "support", "bob", "+4930200101", "sip:x@y.example")}}}
	case "transcript":
		return &eventv1.Content{Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{
			Recording: pick(s.T, "recording", "", "R1", "R2"), Source: pick(s.T, "source", "", "whisper"),
			Segments: []*eventv1.TranscriptSegment{{Party: -1, Text: s.text("segment"), Start: s.duration("from"), Duration: s.duration("for"), Confidence: 0.5}},
		}}}
	case "insight":
		return &eventv1.Content{Body: &eventv1.Content_InsightInferred{InsightInferred: &eventv1.InsightInferred{Kind: pick(s.T, "kind", "", "sentiment", "intent"), Value: s.text("value"), Score: pick(s.T, "score", 0, -0.25), Source: pick(s.T, "source", "", "Mood")}}}
	case "handed":
		return &eventv1.Content{Body: &eventv1.Content_BotHandedOff{BotHandedOff: &eventv1.BotHandedOff{Summary: s.text("summary"), Reason: s.text("reason")}}}
	case "survey":
		return &eventv1.Content{Body: &eventv1.Content_SurveyAnswered{SurveyAnswered: &eventv1.SurveyAnswered{Metric: eventv1.SurveyMetric(rapid.Int32Range(0, 3).Draw(s.T, "metric")), Score: 3.5, ScaleMax: 5, Comment: s.text("comment")}}}
	case "note":
		return &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: s.text("note")}}}
	case "queued":
		return &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}}
	case "over":
		return &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: eventv1.EndReason(rapid.Int32Range(0, 7).Draw(s.T, "why"))}}}
	case "resolved":
		return &eventv1.Content{Body: &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{Resolution: s.text("resolution")}}}
	case "category":
		return &eventv1.Content{Body: &eventv1.Content_InteractionCategorized{InteractionCategorized: &eventv1.InteractionCategorized{Disposition: s.text("disposition"), Complaint: rapid.Bool().Draw(s.T, "complaint")}}}
	case "tags":
		return &eventv1.Content{Body: &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{Priority: pick[int32](s.T, "priority", 0, 1, 9), Attributes: map[string]string{"a": s.text("attribute") + "x"}}}}
	case "page":
		return &eventv1.Content{Body: &eventv1.Content_PageViewed{PageViewed: &eventv1.PageViewed{Url: "https://lumen.example/"}}}
	case "offered":
		return &eventv1.Content{Body: &eventv1.Content_AssignmentOffered{AssignmentOffered: &eventv1.AssignmentOffered{}}}
	}
	return &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Subject: pick(s.T, "begins", "", "Call")}}}
}

// tell tells one thing.
func (s *story) tell(thread int, channel eventv1.Channel) error {
	s.n++
	body := s.body()
	roles := []eventv1.PartyRole{
		eventv1.PartyRole_PARTY_ROLE_INITIATOR, eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.PartyRole_PARTY_ROLE_TO, eventv1.PartyRole_PARTY_ROLE_CC,
		eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, eventv1.PartyRole_PARTY_ROLE_RECIPIENT,
	}
	e := &eventv1.Submission{
		Type: typeOf(body), Channel: channel, Provider: pick(s.T, "provider", "twilio", "smtp"), Inbox: "desk", Thread: fmt.Sprint("t", thread), NativeId: fmt.Sprint(s.n),
		OccurredAt: timestamppb.New(day.Add(time.Duration(rapid.IntRange(0, 9).Draw(s.T, "at")) * time.Second)), Actor: s.actor(), Content: body,
		Direction: eventv1.Direction(rapid.Int32Range(0, 2).Draw(s.T, "direction")), Language: pick(s.T, "language", "", "en", "zh-CN"),
	}
	for range rapid.IntRange(0, 3).Draw(s.T, "parties") {
		e.Parties = append(e.Parties, s.party(pick(s.T, "role", roles...)))
	}
	if pick(s.T, "file", false, false, true) {
		w := told{from: "desk", thread: e.GetThread()}
		x := &teller{t: s.tb, host: s.host, tenant: s.tenant}
		body.Attachments = []*eventv1.Attachment{pick(s.T, "which",
			&eventv1.Attachment{Name: "lost.txt", MediaType: "text/plain", Source: "id-1"}, x.file(w, "a.bin", "application/x-thing", "\x00\x01"), x.file(w, "", "", "plain"),
		)}
	}
	_, err := s.host.Submit(s.Context(), s.tenant, e)
	if _, invalid := errors.AsType[*event.InvalidError](err); invalid { // a text that cannot stand where it was drawn for
		return nil
	}
	return err
}

func TestAnyConversationIsAValidVConThatComesBackTheSame(t *testing.T) {
	ring, compiled := keyring(t), schemaOf(t)
	from, into, tenants := channeltest.NewHost(), channeltest.NewHost(), 0 // to make hosts takes long
	rapid.Check(t, func(r *rapid.T) {
		tenants++
		s := &story{T: r, tb: t, host: from, tenant: fmt.Sprint("t", tenants)}
		channels := rapid.SliceOfN(rapid.SampledFrom([]eventv1.Channel{
			eventv1.Channel_CHANNEL_VOICE, eventv1.Channel_CHANNEL_EMAIL, eventv1.Channel_CHANNEL_WEB_CHAT, eventv1.Channel_CHANNEL_SOCIAL_MESSAGE,
		}), 1, 3).Draw(r, "threads")
		for range rapid.IntRange(1, 14).Draw(r, "events") {
			thread := rapid.IntRange(0, len(channels)-1).Draw(r, "thread")
			if err := s.tell(thread, channels[thread]); err != nil {
				r.Fatal(err)
			}
		}
		if len((records{from}).all(s.tenant)) == 0 {
			return
		}
		req := &vconv1.ExportRequest{Notes: rapid.Bool().Draw(r, "notes"), Media: vconv1.Media(pick[int32](r, "media", 1, 3))}
		first := exported(r, from, s.tenant, ring, compiled, req)
		if crowded(t, first) {
			return
		}
		resp, err := serverOf(into, ring, compiled).Import(as(r.Context(), s.tenant), &vconv1.ImportRequest{Vcon: first, Inbox: "archive"})
		if err != nil {
			r.Fatalf("%v\n%s", err, first)
		}
		if len(into.Conflicts())+len(resp.GetNotes()) > 0 {
			r.Fatalf("%v %v\n%s", into.Conflicts(), resp.GetNotes(), first)
		}
		if second := exported(r, into, s.tenant, ring, compiled, req); !bytes.Equal(first, second) {
			r.Fatalf("%s\n%s\n%s", channeltest.Transcript((records{from}).all(s.tenant)), difference(pretty(t, first), pretty(t, second)), channeltest.Transcript((records{into}).all(s.tenant)))
		}
	})
}

// crowded tells an interaction with more parties than an envelope shows: what is beyond comes back without its side.
func crowded(t *testing.T, raw []byte) bool {
	t.Helper()
	var v struct {
		Analysis []struct {
			Body struct{ Parties []int }
		}
	}
	must(t, json.Unmarshal(raw, &v))
	for _, a := range v.Analysis {
		if len(a.Body.Parties) > event.MaxParties {
			return true
		}
	}
	return false
}

// made is what takes long to make.
type made struct {
	schema *jsonschema.Schema
	reader *vcon.Reader
}

func schemaOf(t testing.TB) made {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(filepath.Join("schema", "vcon_json_schema.json"))
	must(t, err)
	return made{schema, reader(t)}
}

func serverOf(host *channeltest.Host, ring *event.Keyring, m made) *vcon.Server {
	return vcon.NewServer(vcon.Config{Conversations: records{host}, Blobs: blobs{host}, Host: host, Keyring: ring, Reader: m.reader})
}

func exported(r *rapid.T, host *channeltest.Host, of string, ring *event.Keyring, m made, req *vconv1.ExportRequest) []byte {
	c, err := records{host}.Get(r.Context(), of, "")
	if err != nil {
		r.Fatal(err)
	}
	req.ConversationId = c.GetId()
	resp, err := serverOf(host, ring, m).Export(as(r.Context(), of), req)
	if err != nil {
		r.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(resp.GetVcon()))
	if err == nil {
		err = m.schema.Validate(doc)
	}
	if err != nil {
		r.Fatalf("%v\n%s", err, resp.GetVcon())
	}
	return resp.GetVcon()
}
