// Package webhook is what every adapter does whose provider delivers by HTTP: it reads the body, asks the adapter whether
// the provider itself sent it and what it tells, hands the events in, and answers so that the provider delivers again
// exactly when that would help. What is authentic and not understood is kept among the dead letters.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// defaultMaxBytes of a body.
	defaultMaxBytes = 1 << 20
	// defaultTimeout is how long an answer may take. Most providers wait for 10 to 15 seconds.
	defaultTimeout = 8 * time.Second
	// bodyTimeout is how long a body may take to come.
	bodyTimeout = 30 * time.Second
	// retryAfter is when a provider is asked to come again.
	retryAfter = 5 * time.Second
)

// ErrNotAuthentic is what an Endpoint's Authentic wraps: a signature is missing or wrong.
var ErrNotAuthentic = errors.New("webhook: not authentic")

// Endpoint is where a provider delivers what is meant for one inbox. Its functions are called from many goroutines.
type Endpoint struct {
	Tenant, Provider, Inbox string
	// MaxBytes of a body; 1 MiB unless set. A larger one is refused by 413.
	MaxBytes int64
	// Timeout is how long an answer may take; 8 s unless set.
	Timeout time.Duration
	// Authentic tells whether the provider made a request. Its error is ErrNotAuthentic, with what is wrong, and holds nothing
	// that is secret.
	Authentic func(r *http.Request, body []byte) error
	// Unwrap gives what an authentic request carries, where that is not its body as it came: it is decrypted, or tells in its
	// headers what belongs to it. What Read gets and what is kept among the dead letters is then this. An error that wraps
	// ErrNotAuthentic is answered as one of Authentic; with every other one the body is kept as it came. May be nil.
	Unwrap func(r *http.Request, body []byte) ([]byte, error)
	// Read makes events of a body, the same ones of the same body; none is fine. It may put blobs into the host. Its error says
	// what was not understood; one that wraps channel.ErrRetry asks the provider to deliver again.
	Read func(ctx context.Context, host channel.Host, body []byte) ([]*eventv1.Submission, error)
	// Challenge answers an authentic delivery by which a provider only finds out whether the endpoint is the company's, and
	// reports whether it was one: then nothing is read. It gets what Read would get. May be nil.
	Challenge func(w http.ResponseWriter, body []byte) bool
	// Refuse answers what is authentic and was not understood, in the place of keeping it: for clients that read their answers and
	// mend what they send. Nothing of it was handed in then. Its error is one of Unwrap, of Read or of the host. May be nil.
	Refuse func(w http.ResponseWriter, err error)
	// Answer says to the provider that all is well; 200 without a body unless set.
	Answer func(w http.ResponseWriter)
	// Handshake answers a GET, by which providers find out whether the endpoint is the company's. Without one, a GET is
	// answered by 405.
	Handshake http.HandlerFunc
}

// Metrics count what came. They may be shared by all endpoints of a process.
type Metrics struct {
	deliveries *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

// NewMetrics registers the metrics; the registerer may be nil.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_channel_webhook_deliveries_total",
			Help: "Deliveries of providers by outcome: accepted, not_authentic (401), too_large (413), rejected (kept among the dead letters), refused (400), retried (503), aborted.",
		}, []string{"provider", "inbox", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_channel_webhook_seconds", Help: "How long the answer to a delivery took.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"provider"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.deliveries, m.seconds} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("webhook: register metrics: %w", err)
		}
	}
	return m, nil
}

// The outcomes of a delivery.
const (
	accepted     = "accepted"
	notAuthentic = "not_authentic"
	tooLarge     = "too_large"
	rejected     = "rejected"
	refused      = "refused"
	retried      = "retried"
	aborted      = "aborted"
)

// Handler serves an endpoint. The metrics and the logger may be nil.
func Handler(host channel.Host, e Endpoint, m *Metrics, logger *slog.Logger) http.Handler {
	if e.MaxBytes == 0 {
		e.MaxBytes = defaultMaxBytes
	}
	if e.Timeout == 0 {
		e.Timeout = defaultTimeout
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{Endpoint: e, host: host, logger: logger.With("provider", e.Provider, "inbox", e.Inbox)}
	if m != nil {
		h.deliveries, h.seconds = m.deliveries.MustCurryWith(prometheus.Labels{"provider": e.Provider, "inbox": e.Inbox}), m.seconds.WithLabelValues(e.Provider)
		for _, outcome := range []string{accepted, notAuthentic, tooLarge, rejected, refused, retried, aborted} {
			h.deliveries.WithLabelValues(outcome) // so that each shows from the start
		}
	}
	return h
}

type handler struct {
	Endpoint
	host       channel.Host
	logger     *slog.Logger
	deliveries *prometheus.CounterVec // nil where nobody counts
	seconds    prometheus.Observer
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && h.Handshake != nil {
		h.Handshake(w, r)
		return
	}
	// Who answers without the whole body leaves it so: net/http reads what is left before it sends the answer, and would wait for it for ever.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // every server of net/http can
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "configure the webhook's method as POST", http.StatusMethodNotAllowed)
		return
	}
	began := time.Now()
	outcome, err := h.take(w, r)
	if h.deliveries != nil {
		h.deliveries.WithLabelValues(outcome).Inc()
		h.seconds.Observe(time.Since(began).Seconds())
	}
	if err != nil {
		h.logger.WarnContext(r.Context(), "a delivery was not taken as it came", "outcome", outcome, "from", r.RemoteAddr, "error", err)
	}
}

func (h *handler) take(w http.ResponseWriter, r *http.Request) (outcome string, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.MaxBytes))
	var large *http.MaxBytesError
	switch {
	case err == nil: // net/http goes on to read, to see whether the caller leaves: a deadline would look like that
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	case errors.As(err, &large):
		http.Error(w, "the body is larger than "+strconv.FormatInt(h.MaxBytes, 10)+" bytes", http.StatusRequestEntityTooLarge)
		return tooLarge, err
	default: // mostly, nobody reads the answer
		http.Error(w, "the body broke off, or came too slowly", http.StatusBadRequest)
		return aborted, err
	}
	if err := h.Authentic(r, body); err != nil {
		http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
		return notAuthentic, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
	defer cancel()
	payload := body
	if h.Unwrap != nil {
		payload, err = h.Unwrap(r, body)
	}
	switch {
	case errors.Is(err, ErrNotAuthentic):
		http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
		return notAuthentic, err
	case err != nil:
		outcome, err = h.reject(ctx, h.host, body, err)
	case h.Challenge != nil && h.Challenge(w, payload):
		return accepted, nil
	default:
		outcome, err = Deliver(ctx, h.host, h.Endpoint, payload)
	}
	switch outcome {
	case refused:
		h.Refuse(w, err)
		return outcome, err
	case retried:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return outcome, err
	}
	if h.Answer != nil {
		h.Answer(w)
	}
	return outcome, err
}

// Deliver hands in what a body, or what Unwrap made of it, tells, or keeps it among the dead letters. The outcome is accepted, rejected,
// retried, or, where the endpoint has Refuse, refused; what was rejected has an error as well, for the log. A channel.Redriver hands its payloads in by it again.
func Deliver(ctx context.Context, host channel.Host, e Endpoint, body []byte) (outcome string, err error) {
	submissions, err := e.Read(ctx, host, body)
	if err == nil && len(submissions) > 0 {
		_, err = host.Submit(ctx, e.Tenant, submissions...)
	}
	var invalid *event.InvalidError
	switch {
	case err == nil:
		return accepted, nil
	case errors.Is(err, channel.ErrRetry), ctx.Err() != nil && !errors.As(err, &invalid):
		return retried, err
	}
	return e.reject(ctx, host, body, err)
}

// reject keeps what was not understood, unless whoever sent it is told.
func (e *Endpoint) reject(ctx context.Context, host channel.Host, body []byte, err error) (string, error) {
	if e.Refuse != nil {
		return refused, err
	}
	rejection := channel.Rejection{Tenant: e.Tenant, Provider: e.Provider, Inbox: e.Inbox, Reason: err.Error(), Raw: body}
	if keepErr := host.Reject(ctx, rejection); keepErr != nil {
		return retried, errors.Join(err, keepErr)
	}
	return rejected, err
}
