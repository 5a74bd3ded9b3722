package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	tenant     = "default"
	partitions = 8
	// perThread is how many events a thread has, perEndpoint about how many an endpoint has, perCustomer how many endpoints
	// a customer has.
	perThread   = 5
	perEndpoint = 60
	perCustomer = 5
	// open is how many threads go on at the same time.
	open = 1000
)

// texts are what customers write and agents answer, of the length that both have in chats.
func texts() []string {
	return []string{
		"Hello, when will my order leave?",
		"Thanks for waiting. The parcel left us this morning.",
		"您好，请帮我查一下昨天的退款申请。",
		"已为您查询，退款会在三个工作日内退回。",
		"The app signs me out each time that I open the invoice page.",
		"Could you tell me which version of the app you have installed?",
		"换了手机号以后收不到验证码，怎么办？",
		"Great, that solved it. Have a nice day!",
	}
}

// events makes events that look like those of a contact centre: threads of some messages between a customer and an inbox,
// many of them open at a time, on every channel. Event n is always the same.
type events struct {
	keyring   *event.Keyring
	compiler  *event.Compiler
	endpoints int // a multiple of perCustomer
	began     time.Time
	texts     []string
}

// newEvents makes a population in which endpoints have about perEndpoint events when there are n in all.
func newEvents(n int) (*events, error) {
	keyring, err := event.NewKeyring(strings.NewReader(strings.Repeat("no secret", 10)))
	if err != nil {
		return nil, err
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		return nil, err
	}
	return &events{
		keyring: keyring, compiler: compiler, texts: texts(), endpoints: max(1, n/perEndpoint/perCustomer) * perCustomer,
		began: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC),
	}, nil
}

// customers is how many there are.
func (e *events) customers() int { return e.endpoints / perCustomer }

// address is one of a customer's endpoints: each customer has one of each kind.
func (e *events) address(customer, kind int) *eventv1.Address {
	switch kind {
	case 0:
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat", Value: fmt.Sprintf("oLVPpjqs9BhvzwPj5A-%09d", customer)}
	case 1:
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: fmt.Sprintf("customer.%09d@example.com", customer)}
	case 2:
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprintf("v-7f3a-%09d", customer)}
	case 3:
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: fmt.Sprintf("+86138%08d", customer%100_000_000)}
	default:
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "weibo", Value: fmt.Sprintf("70%09d", customer)}
	}
}

// medium is the one that a kind of address belongs to, with the inbox and its address.
func medium(kind int) (eventv1.Channel, string, *eventv1.Address) {
	switch kind {
	case 1:
		return eventv1.Channel_CHANNEL_EMAIL, "support", &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "support@example.com"}
	case 2:
		return eventv1.Channel_CHANNEL_WEB_CHAT, "web", &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "inbox", Value: "web"}
	case 3:
		return eventv1.Channel_CHANNEL_SMS, "hotline", &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "+861065550100"}
	}
	return eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, "service", &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "inbox", Value: "service"}
}

// submission is event n as a connector hands it in.
func (e *events) submission(n int) *eventv1.Submission {
	round, within := n/(open*perThread), n%(open*perThread)
	thread, turn := round*open+within%open, within/open
	endpoint := int(uint64(thread) * 2654435761 % uint64(e.endpoints)) // all of them in turn, in no order
	customer, kind := endpoint/perCustomer, endpoint%perCustomer
	over, inbox, own := medium(kind)
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: over, Direction: eventv1.Direction_DIRECTION_INBOUND,
		OccurredAt: timestamppb.New(e.at(n)), Provider: "bench", Inbox: inbox,
		Thread: fmt.Sprintf("t-%010d", thread), NativeId: fmt.Sprintf("m-%012d", n),
		Parties: []*eventv1.SubmittedParty{
			{Address: e.address(customer, kind), Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER},
			{Address: own, Role: eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_COMPANY},
		},
	}
	message := &eventv1.Message{Text: e.texts[(thread+turn)%len(e.texts)]}
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: message}}
	if turn%2 == 1 { // the company answers
		s.Type, s.Direction = event.TypeMessageSent, eventv1.Direction_DIRECTION_OUTBOUND
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: message}
		s.Parties[0].Role, s.Parties[1].Role = eventv1.PartyRole_PARTY_ROLE_TO, eventv1.PartyRole_PARTY_ROLE_SENDER
	}
	return s
}

func (e *events) at(n int) time.Time { return e.began.Add(time.Duration(n) * time.Millisecond) }

// message is event n as it stands in the log.
func (e *events) message(topic string, n int) (eventlog.Message, error) {
	return e.compile(topic, e.submission(n))
}

// compile makes of a submission what stands in the log; it was received soon after it happened.
func (e *events) compile(topic string, s *eventv1.Submission) (eventlog.Message, error) {
	c, err := e.compiler.Compile(tenant, s, s.GetOccurredAt().AsTime().Add(150*time.Millisecond))
	if err != nil {
		return eventlog.Message{}, err
	}
	value, err := event.Encode(c.Event)
	return eventlog.Message{Topic: topic, Key: c.Key(), Value: value}, err
}

// link is number n of the events that link an endpoint to a customer.
func (e *events) link(n int, endpoint, customer event.ID) (eventlog.Message, error) {
	return e.compile(event.TopicLinks, &eventv1.Submission{
		Type: event.TypeEndpointLinked, OccurredAt: timestamppb.New(e.at(n)), Provider: "bench", Inbox: "bench", Thread: "links",
		NativeId: fmt.Sprintf("l-%d", n),
		Content: &eventv1.Content{Body: &eventv1.Content_EndpointLinked{EndpointLinked: &eventv1.EndpointLinked{
			EndpointId: endpoint.String(), CustomerId: customer.String(),
		}}},
	})
}

// endpointIDs are those of a customer.
func (e *events) endpointIDs(customer int) ([]event.ID, error) {
	var all []event.ID
	for kind := range perCustomer {
		endpoint, err := event.Normalise(e.address(customer, kind))
		if err != nil {
			return nil, err
		}
		all = append(all, e.keyring.Tenant(tenant).Endpoint(endpoint))
	}
	return all, nil
}

// filler makes events that fill a log.
type filler interface {
	message(topic string, n int) (eventlog.Message, error)
}

// fill appends to the topic that is folded, events from a number (included) to another (excluded).
func (e *events) fill(ctx context.Context, log eventlog.Log, from, to int) error {
	return fillWith(ctx, log, e, from, to)
}

func fillWith(ctx context.Context, log eventlog.Log, f filler, from, to int) error {
	const chunk = open * perThread // whole threads, so that the order within each holds
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for begin := from; begin < to && ctx.Err() == nil; begin += chunk {
		g.Go(func() error {
			messages := make([]eventlog.Message, 0, chunk)
			for n := begin; n < min(begin+chunk, to); n++ {
				m, err := f.message(foldTopic, n)
				if err != nil {
					return err
				}
				messages = append(messages, m)
			}
			_, err := eventlog.AppendAll(ctx, log, messages)
			return err
		})
	}
	return g.Wait()
}

// sizes are the mean sizes of a record's value, beside which its key stands, and of what a connector sends for it.
func (e *events) sizes() (value, key, submission int, err error) {
	const sample = 1000
	for n := range sample {
		m, err := e.message("", n)
		if err != nil {
			return 0, 0, 0, err
		}
		value += len(m.Value)
		key += len(m.Key)
		submission += proto.Size(e.submission(n))
	}
	return value / sample, key / sample, submission / sample, nil
}
