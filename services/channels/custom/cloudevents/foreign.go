package cloudevents

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	foreignPrefix = "ext."
	// maxType is the length of a type, and maxID of a native id or thread.
	maxType, maxID = 128, 1024
)

// The attributes that say whom a foreign event is about.
const (
	attrEmail     = "skeinemail"
	attrPhone     = "skeinphone"
	attrVisitor   = "skeinvisitor"
	attrID        = "skeinid"
	attrIDSpace   = "skeinidspace"
	attrName      = "skeinname"
	attrRegion    = "skeinregion"
	attrThread    = "skeinthread"
	attrChannel   = "skeinchannel"
	attrDirection = "skeindirection"
	attrLanguage  = "skeinlanguage"
)

// attributes reads extension attributes, and keeps what is wrong with them.
type attributes struct {
	values map[string]any
	wrong  []event.Violation
}

func (a *attributes) fail(name, reason string) {
	a.wrong = append(a.wrong, event.Violation{Field: name, Reason: reason})
}

func (a *attributes) text(name string) string {
	value, ok := a.values[name]
	if !ok {
		return ""
	}
	text, err := types.Format(value)
	if err != nil {
		a.fail(name, "is no text")
	}
	return text
}

// word reads a value of an enum in lower case without its prefix, such as web_chat.
func (a *attributes) word(name string, d protoreflect.EnumDescriptor) protoreflect.EnumNumber {
	text := a.text(name)
	if text == "" {
		return 0
	}
	prefix := strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
	value := d.Values().ByName(protoreflect.Name(prefix + strings.ToUpper(text)))
	if value == nil {
		var words []string
		for i := 1; i < d.Values().Len(); i++ {
			words = append(words, strings.ToLower(strings.TrimPrefix(string(d.Values().Get(i).Name()), prefix)))
		}
		a.fail(name, "must be one of "+strings.Join(words, ", "))
		return 0
	}
	return value.Number()
}

// foreign makes an event of a type of its own.
func (in *Inbox) foreign(e parsed) (*eventv1.Submission, []event.Violation) {
	a := &attributes{values: e.Extensions()}
	s := &eventv1.Submission{
		Type: foreignType(in.provider(), strings.TrimPrefix(e.Type(), in.TypePrefix)), OccurredAt: occurredAt(e), Provider: in.provider(), Thread: e.thread(a), NativeId: e.nativeID(),
		Channel:   eventv1.Channel(a.word(attrChannel, eventv1.Channel(0).Descriptor())),
		Direction: eventv1.Direction(a.word(attrDirection, eventv1.Direction(0).Descriptor())),
		Language:  a.text(attrLanguage), Parties: in.parties(a),
	}
	if len(s.GetType()) > maxType {
		a.fail("type", "is too long")
	}
	if len(s.GetThread()) > maxID {
		a.fail("subject", "is too long: 1024 bytes at most")
	}
	if len(s.GetNativeId()) > maxID {
		a.fail("id", "is too long: 1024 bytes at most, together with source")
	}
	data, err := whole(e)
	if err != nil {
		a.fail("data", err.Error())
	}
	s.Content = extension(data)
	return s, a.wrong
}

func extension(data []byte) *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: ce.ApplicationCloudEventsJSON, Data: data}}}
}

// thread is where the event belongs, as it says, else what it is about, else who tells it.
func (p parsed) thread(a *attributes) string {
	for _, thread := range []string{a.text(attrThread), p.Subject()} {
		if thread != "" {
			return thread
		}
	}
	return p.Source()
}

// nativeID is what tells an event from all others.
func (p parsed) nativeID() string { return p.Source() + " " + p.ID() }

func occurredAt(p parsed) *timestamppb.Timestamp {
	if p.Time().IsZero() {
		return nil
	}
	return timestamppb.New(p.Time())
}

// foreignType is a type of the form ext.<provider>.<name>. One that has this form stays as it is.
func foreignType(provider, typ string) string {
	if _, ok := event.TopicOf(typ); ok && strings.HasPrefix(typ, foreignPrefix) {
		return typ
	}
	var words []string
	for word := range strings.SplitSeq(typ, ".") {
		if word = fit(word); word != "" {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		words = []string{"event"}
	}
	return foreignPrefix + provider + "." + strings.Join(words, ".")
}

// fit makes a word of a type of any text: in lower case, with "_" for what may not stand there.
func fit(word string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-':
			return r
		}
		return '_'
	}, word), "_-")
}

// parties are the customer, once under each address.
func (in *Inbox) parties(a *attributes) []*eventv1.SubmittedParty {
	region := a.text(attrRegion)
	if region == "" {
		region = in.Region
	}
	space := a.text(attrIDSpace)
	if space == "" {
		space = in.provider()
	}
	var parties []*eventv1.SubmittedParty
	for _, address := range []*eventv1.Address{
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: a.text(attrEmail)},
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: a.text(attrPhone), Region: region},
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: a.text(attrVisitor)},
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Value: a.text(attrID), Namespace: space},
	} {
		if address.GetValue() != "" {
			parties = append(parties, &eventv1.SubmittedParty{Address: address, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: a.text(attrName)})
		}
	}
	if name := a.text(attrName); name != "" && len(parties) == 0 {
		parties = append(parties, &eventv1.SubmittedParty{Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: name})
	}
	return parties
}

// whole writes an event as JSON in one form, whatever mode it came in: keys in order, times in UTC, no spaces. What differs from
// one delivery to the next is left out.
func whole(p parsed) ([]byte, error) {
	fields := map[string]any{"specversion": p.SpecVersion(), "id": p.ID(), "source": p.Source(), "type": p.Type()}
	for name, value := range map[string]string{"subject": p.Subject(), "datacontenttype": p.DataContentType(), "dataschema": p.DataSchema()} {
		if value != "" {
			fields[name] = value
		}
	}
	if !p.Time().IsZero() {
		fields["time"] = types.FormatTime(p.Time().UTC())
	}
	for name, value := range p.Extensions() {
		switch name {
		case "traceparent", "tracestate":
			continue
		}
		text, err := types.Format(value)
		if err != nil {
			return nil, err
		}
		fields[name] = text // headers know texts only
	}
	switch data := p.Data(); {
	case len(data) == 0:
	case (isJSON(p.DataMediaType()) || p.DataMediaType() == "") && json.Valid(data):
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			return nil, err
		}
		fields["data"] = json.RawMessage(compact.Bytes())
	case utf8.Valid(data) && p.DataMediaType() != "":
		fields["data"] = string(data)
	default:
		fields["data_base64"] = base64.StdEncoding.EncodeToString(data)
	}
	return marshal(fields)
}

// marshal writes JSON whose texts stand as they are: "<" is no escape.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// discriminator makes the id of an event depend on source and id.
func (p parsed) discriminator() []byte {
	hash := sha256.Sum256([]byte(p.Source() + "\x00" + p.ID()))
	return hash[:]
}
