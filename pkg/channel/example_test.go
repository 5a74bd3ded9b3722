package channel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Pager is the adapter of a paging service that posts each page that a customer sends, as JSON:
// {"id":"17","account":"desk","from":"+4930901820","text":"Call me"}.
type Pager struct {
	Addr, Tenant string

	host   channel.Host
	socket net.Listener
}

// Name implements channel.Channel.
func (p *Pager) Name() string { return "pager.webhook" }

// Open implements channel.Channel.
func (p *Pager) Open(ctx context.Context, host channel.Host) (err error) {
	p.host = host
	p.socket, err = (&net.ListenConfig{}).Listen(ctx, "tcp", p.Addr)
	return err
}

// Run implements channel.Channel.
func (p *Pager) Run(ctx context.Context) error {
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	finished := make(chan error, 1)
	context.AfterFunc(ctx, func() { finished <- server.Shutdown(context.WithoutCancel(ctx)) })
	if err := server.Serve(p.socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-finished
}

// ServeHTTP takes one page. It answers with success once the page is durable: the service sends it again otherwise.
func (p *Pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	var page struct{ ID, Account, From, Text string }
	if err == nil && json.Unmarshal(raw, &page) == nil {
		_, err = p.host.Submit(r.Context(), p.Tenant, &eventv1.Submission{
			Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_SMS, Direction: eventv1.Direction_DIRECTION_INBOUND,
			Provider: "pager", Inbox: page.Account, Thread: page.From, NativeId: page.ID,
			Parties: []*eventv1.SubmittedParty{{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: page.From},
				Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
			}},
			Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: page.Text}}},
		})
	} else if err == nil {
		err = errors.New("no JSON")
	}
	if err != nil && !errors.Is(err, channel.ErrRetry) { // another try would not help: keep what came, and say thanks
		err = p.host.Reject(r.Context(), channel.Rejection{Tenant: p.Tenant, Provider: "pager", Reason: err.Error(), Raw: raw})
	}
	if err == nil {
		return // 200
	}
	http.Error(w, "try again", http.StatusServiceUnavailable)
}

// A whole adapter, and what its author tests: a page gives an event; sent again it gives the same one; while the log
// does not answer, the provider must try again; what cannot be understood is kept.
func Example_adapter() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	host, pager := channeltest.NewHost(), &Pager{Addr: "127.0.0.1:0", Tenant: "acme"}
	if err := pager.Open(ctx, host); err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- pager.Run(ctx) }()

	post := func(body string) {
		answer, err := http.Post("http://"+pager.socket.Addr().String(), "application/json", strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = answer.Body.Close()
		fmt.Println(answer.StatusCode, "events:", len(host.Events()), "rejections:", len(host.Rejections()))
	}
	page := `{"id":"17","account":"desk","from":"+49 30 901820","text":"Call me"}`
	post(page)
	post(page)
	host.Fail(channel.ErrRetry)
	post(`{"id":"18","account":"desk","from":"+49 30 901820","text":"Now"}`)
	host.Fail(nil)
	post(`gibberish`)

	first := host.Events()[0]
	fmt.Println(first.Content.GetParties()[0].GetAddress(), "wrote:", first.Content.GetMessageReceived().GetText())
	stop()
	fmt.Println("stopped:", <-done)
	// Output:
	// 200 events: 1 rejections: 0
	// 200 events: 1 rejections: 0
	// 503 events: 1 rejections: 0
	// 200 events: 1 rejections: 1
	// +4930901820 wrote: Call me
	// stopped: <nil>
}
