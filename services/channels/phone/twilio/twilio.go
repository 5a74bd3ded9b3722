// Package twilio takes what Twilio tells of calls, queues, conferences, recordings, transcripts, TaskRouter and short
// messages by webhooks, and sends short messages over its API.
//
// Each account has a path for each kind of webhook, /channels/twilio/{tenant}/{inbox}/{kind}; the Kind constants say what
// belongs there. Everything is derived from one webhook; nothing is looked up but the sound of recordings and the files of
// messages, which are fetched from the account's own API.
//
// # Threads
//
// A call's thread is its root call: ParentCallSid where there is one, TaskRouter's call_sid, the friendly name of a
// conference that is named by a call, else CallSid. A short message's is the customer's number and ours. Where a webhook
// holds two ids of one call, thread.joined puts the lesser under the greater: a leg under its parent; a task under its call,
// and the worker's leg and the conference under the task; a conference under the call or task that it is named by, else under
// the customer's call; and each other leg of a conference under the same, if it is labelled or the conference is named by a
// call. Name conferences by the customer's call, or by the task as TaskRouter does, or label the participants: else a
// recording of the conference and the agents' legs stand alone.
//
// # Who tells what
//
// One moment is often told by several webhooks. Each event is made of one of them only:
//
//	interaction.started     the first status of a root call (SequenceNumber 0)
//	interaction.ended       the final status of a root call; never a conference or a task of a call
//	call.*                  the statuses of calls, of each leg
//	queue.*, assignment.*   TaskRouter, where Account.TaskRouter is set; else
//	  queue.*               the requests of <Enqueue>: waitUrl and action
//	  assignment.*          the statuses of a dialled leg of a known person of the company; <Queue> url and the action of
//	                        <Enqueue> for those who take from a queue; a conference for its participants labelled as agents
//	assignment.held, unheld a conference, never TaskRouter
//	party.*                 a conference; a leg that ends gives none
//	transfer.*              TaskRouter
//	recording.available,    the recording status callback; the latter for recordings of <Record>, whose action gives none
//	voicemail.left
//	message.sent            the status sent of a message that was not sent by SendMessage (KindMessage, not KindStatus)
//
// # Labels of participants
//
// Twilio does not say who a participant of a conference is, but for its label: "customer", "agent", "supervisor" or
// "transfer", each with an optional ":" and the person's id, or a worker's sid. Without a label, one who coaches is a
// supervisor that whispers, and one who joins muted is one that listens; of the latter no change is told.
//
// # Retries
//
// Twilio comes again after a failure only if the webhook's URL asks for it: end it with "#rc=5&rp=all"
// (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
package twilio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "twilio"

// The kinds of webhooks, which end their paths.
const (
	// KindCall takes the status callbacks of calls and of <Dial>'s <Number>, <Client> and <Sip>, and the results of
	// asynchronous answering machine detection. Requests for TwiML are answered with an empty document and tell nothing.
	KindCall = "call"
	// KindQueue takes the requests of <Enqueue> (waitUrl, action) and of <Queue> (url).
	KindQueue = "queue"
	// KindConference takes the status callbacks of conferences.
	KindConference = "conference"
	// KindRecording takes recording status callbacks.
	KindRecording = "recording"
	// KindTranscription takes the callbacks of <Transcription> and of <Record transcribe>.
	KindTranscription = "transcription"
	// KindTaskRouter takes the event callbacks of a TaskRouter workspace.
	KindTaskRouter = "taskrouter"
	// KindMessage takes incoming messages, and the statuses of outgoing ones that others send.
	KindMessage = "message"
	// KindStatus takes the statuses of messages that SendMessage sends: whoever sends them tells that they were sent.
	KindStatus = "status"
)

const (
	defaultAPIURL  = "https://api.twilio.com"
	defaultMedia   = 100 << 20
	defaultTimeout = 30 * time.Second // of a request to the API, without the body
	// answerTimeout is how long an answer may take: Twilio waits 15 seconds.
	answerTimeout = 13 * time.Second
	// fetchTimeout is how long fetching may take meanwhile. What takes longer is kept, to be redriven.
	fetchTimeout = 9 * time.Second
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/twilio/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own. One of Twilio's accounts may stand in several.
	Accounts []Account
	// MaxMediaBytes is how large a recording or a file of a message may be; 100 MiB unless set. A larger one is rejected
	// with its webhook, which can be redriven.
	MaxMediaBytes int64
	// Client speaks to Twilio's API; one with a time limit for the header of an answer unless set.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is one of Twilio's accounts, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the paths: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// AccountSID is Twilio's id of the account; what comes from another one is rejected.
	AccountSID string
	// AuthToken signs the webhooks and opens the API. It is secret.
	AuthToken string
	// Numbers are the company's own, its agents' among them, as E.164. Short codes and sender names may stand here as well.
	Numbers []string
	// BaseURLs are those under which Twilio reaches the Mux, such as https://skein.example; they are signed, too. One at least.
	BaseURLs []string
	// APIURL is https://api.twilio.com unless set, for instance to a region's.
	APIURL string
	// TaskRouter tells that the account's calls are routed by TaskRouter, whose events come here: queue visits and
	// assignments are then told by these alone.
	TaskRouter bool
	// Routable are the names of the activities in which TaskRouter offers work; Available and Idle unless set.
	Routable []string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	endpoint  string // path of its endpoints
	api       *url.URL
	own       map[string]bool
	validator client.RequestValidator
}

// Channel is a channel.Channel and a channel.Redriver.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	log      *slog.Logger
	limit    time.Duration // of fetching while Twilio waits
	gate     webhook.Gate
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, limit: fetchTimeout}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	if c.cfg.MaxMediaBytes == 0 {
		c.cfg.MaxMediaBytes = defaultMedia
	}
	c.cfg.Client = apiClient(cfg.Client)
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in)
		if _, twice := c.accounts[key]; twice {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		c.accounts[key] = a
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("phone/twilio: %w", err)
	}
	return c, nil
}

func newAccount(in Account) (*account, error) {
	a := &account{Account: in, own: map[string]bool{}, validator: client.NewRequestValidator(in.AuthToken)}
	var errs []error
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.endpoint, errs = path, append(errs, err)
	if !isSID(in.AccountSID, "AC") {
		errs = append(errs, errors.New("the account's sid is AC and 32 hexadecimal digits"))
	}
	if in.AuthToken == "" {
		errs = append(errs, errors.New("the auth token is missing"))
	}
	if len(in.BaseURLs) == 0 {
		errs = append(errs, errors.New("a base URL is needed, as Twilio reaches it: it is signed"))
	}
	for _, base := range in.BaseURLs {
		if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, errors.New("a base URL is http or https, a host and perhaps a path"))
		}
	}
	if a.APIURL == "" {
		a.APIURL = defaultAPIURL
	}
	a.APIURL = strings.TrimSuffix(a.APIURL, "/")
	api, err := url.Parse(a.APIURL)
	if err != nil || api.Host == "" || api.User != nil || api.Scheme != "https" && api.Scheme != "http" {
		errs = append(errs, errors.New("the API's URL is http or https and a host"))
	}
	a.api = api
	for _, n := range in.Numbers {
		a.own[n] = true
	}
	if len(a.Routable) == 0 {
		a.Routable = []string{"Available", "Idle"}
	}
	return a, errors.Join(errs...)
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "phone.twilio" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, a := range c.accounts {
		for _, kind := range kinds() {
			c.cfg.Mux.Handle(a.path(kind), c.gate.Serve(webhook.Handler(host, c.endpoint(a, kind, c.limit), c.cfg.Metrics, c.log)))
		}
	}
	return nil
}

func (a *account) path(kind string) string { return a.endpoint + "/" + kind }

// Run implements channel.Channel: when ctx ends, it takes no more webhooks and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

// endpoint is where webhooks of one kind come in. Fetching may take as long as limit, or as its context if that is 0.
func (c *Channel) endpoint(a *account, kind string, limit time.Duration) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Timeout: answerTimeout,
		Authentic: a.authentic,
		Read: func(ctx context.Context, host channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return c.read(ctx, host, a, kind, limit, body)
		},
		Answer: func(w http.ResponseWriter) { answer(w, kind) },
	}
}

// answer is an empty TwiML document, because several of the requests ask for one, and nothing for TaskRouter, which asks
// for that. The others ignore it.
func answer(w http.ResponseWriter, kind string) {
	if kind == KindTaskRouter {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = io.WriteString(w, "<Response/>") // whoever is gone will ask again
}

// Redrive implements channel.Redriver. The kind of a webhook is recognised by what it holds.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("phone/twilio: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	kind := ""
	if f, err := parse(r.Raw); err == nil {
		kind = kindOf(f)
	}
	outcome, err := webhook.Deliver(ctx, host, c.endpoint(a, kind, 0), r.Raw)
	if outcome == "retried" {
		return fmt.Errorf("phone/twilio: redrive: %w", err)
	}
	return nil
}

// reading is what one webhook is read with.
type reading struct {
	*account
	form
	// fetch puts what is at a URL of the API into the blob store.
	fetch func(ctx context.Context, thread, url string) (*eventv1.Blob, error)
	// ours tells that the message was sent by SendMessage.
	ours bool
}

// kinds are all kinds of webhooks.
func kinds() []string {
	return []string{KindCall, KindQueue, KindConference, KindRecording, KindTranscription, KindTaskRouter, KindMessage, KindStatus}
}

// of reads a webhook of one kind.
func (r *reading) of(ctx context.Context, kind string) ([]*eventv1.Submission, error) {
	switch kind {
	case KindCall:
		return r.call()
	case KindQueue:
		return r.queue()
	case KindConference:
		return r.conference()
	case KindRecording:
		return r.recording(ctx)
	case KindTranscription:
		return r.transcription()
	case KindTaskRouter:
		return r.taskRouter()
	case KindMessage, KindStatus:
		r.ours = kind == KindStatus
		return r.message(ctx)
	}
	return nil, errors.New("it is of no known kind")
}

// read makes submissions of a webhook's body.
func (c *Channel) read(ctx context.Context, host channel.Host, a *account, kind string, limit time.Duration, body []byte) ([]*eventv1.Submission, error) {
	f, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("phone/twilio: %w", err)
	}
	if sid := f.get("AccountSid"); sid != a.AccountSID {
		return nil, fmt.Errorf("phone/twilio: it is of the account %q, not of this inbox's", sid)
	}
	r := &reading{account: a, form: f}
	r.fetch = func(ctx context.Context, thread, url string) (*eventv1.Blob, error) {
		return c.fetch(ctx, host, a, limit, thread, url)
	}
	submissions, err := r.of(ctx, kind)
	if err != nil {
		return nil, fmt.Errorf("phone/twilio: %s: %w", kind, err)
	}
	for _, s := range submissions {
		s.Provider, s.Inbox = Provider, a.Inbox
	}
	return submissions, nil
}

// kindOf recognises a webhook. Of a message's status it cannot tell who sent the message, and takes it for SendMessage's.
func kindOf(f form) string {
	switch {
	case f.has("EventType") && f.has("WorkspaceSid"):
		return KindTaskRouter
	case f.has("MessageStatus"):
		return KindStatus
	case f.has("MessageSid"), f.has("SmsSid"):
		return KindMessage
	case f.has("TranscriptionEvent"), f.has("TranscriptionText"), f.has("TranscriptionStatus"):
		return KindTranscription
	case f.has("RecordingStatus"):
		return KindRecording
	case f.has("ConferenceSid") && f.has("StatusCallbackEvent"):
		return KindConference
	case f.has("QueueSid"), f.has("QueueResult"):
		return KindQueue
	case f.has("CallSid"):
		return KindCall
	}
	return ""
}
