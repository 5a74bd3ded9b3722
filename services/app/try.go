package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/admin"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
)

// Trial is a delivery that is tried.
type Trial struct {
	// Inbox by its id; Tenant where several have that.
	Tenant, Inbox string
	// Header and Body of the delivery.
	Header http.Header
	Body   []byte
	// Query of its address, and Path below the inbox's, where it has several (twilio).
	Query, Path string
	// Verify tries the verification, too.
	Verify bool
}

// Tried is what became of it.
type Tried struct {
	// Submissions that would have been published, and Rejections that would have been kept.
	Submissions []*eventv1.Submission
	Rejections  []channel.Rejection
	// Status and Answer are what the provider would have got; the status is 0 where the delivery was not verified.
	Status int
	Answer string
}

// Try shows what a delivery to an inbox would become. It opens that inbox's channel alone, over a host that keeps everything in memory,
// and no port, log or store: nothing is published, and no server need run. A channel that fetches what its provider keeps, such as
// a recording, fetches it here, too.
func Try(ctx context.Context, cfg Config, t Trial) (Tried, error) {
	in, err := cfg.inbox(t.Tenant, t.Inbox)
	if err != nil {
		return Tried{}, err
	}
	cfg.Inboxes = []InboxConfig{in}
	v := &verifier{}
	v.phone("inbox "+in.ID, in)
	v.custom("inbox "+in.ID, in)
	v.social(&cfg)
	if len(v.problems) > 0 {
		return Tried{}, &ConfigError{Problems: v.problems}
	}
	host, err := newTrialHost()
	if err != nil {
		return Tried{}, err
	}
	a := &App{
		cfg: cfg, logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry(), trial: host,
		channels: map[string][]admin.Channel{}, redrivers: map[string]channel.Redriver{},
	}
	a.mux = http.NewServeMux()
	a.endpoints.mux = a.mux
	switch in.Channel { // those whose providers deliver by HTTP
	case channelTwilio:
		err = a.openPhone(ctx)
	case channelEmail, channelWebChat, channelAsterisk, channelFreeSwitch, channelConnector:
		return Tried{}, fmt.Errorf("the inbox %q is of the channel %s, to which no provider delivers by HTTP: there is nothing to try", in.ID, in.Channel)
	default:
		err = errors.Join(a.openCustom(ctx), a.openSocial(ctx))
	}
	if err != nil {
		return Tried{}, err
	}
	return a.try(ctx, in, t, host)
}

func (a *App) try(ctx context.Context, in InboxConfig, t Trial, host *trialHost) (Tried, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://skein.invalid/channels/"+in.Channel+"/"+in.Tenant+"/"+in.ID+t.Path, bytes.NewReader(t.Body))
	if err != nil {
		return Tried{}, fmt.Errorf("make the request: %w", err)
	}
	r.URL.RawQuery = t.Query
	r.Header = t.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if in.Channel == channelCloudEvents { // what is wrong is told in the answer
		if !t.Verify && len(in.CloudEvents.Secrets) > 0 {
			r.Header.Set("Authorization", "Bearer "+in.CloudEvents.Secrets[0])
			return a.deliver(r, host), nil
		}
		return a.deliver(r, host), nil
	}
	if t.Verify {
		return a.deliver(r, host), nil
	}
	provider := slices.Collect(maps.Keys(a.redrivers))
	if len(provider) != 1 { // there is one inbox
		return Tried{}, errors.New("without its verification this channel cannot be tried: say --verify, and give the headers")
	}
	redriver, payload := a.redrivers[provider[0]], t.Body
	if m, ok := redriver.(*mapped.Channel); ok {
		if kept, err := m.Payload(mapped.Key{Tenant: in.Tenant, Inbox: in.ID}, r, t.Body); err == nil { // otherwise it is kept as it came
			payload = kept
		}
	}
	err = redriver.Redrive(ctx, host, channel.Rejection{Tenant: in.Tenant, Provider: provider[0], Inbox: in.ID, Raw: payload})
	return host.tried(), err
}

// deliver makes the request that the provider would have made.
func (a *App) deliver(r *http.Request, host *trialHost) Tried {
	answer := httptest.NewRecorder()
	a.mux.ServeHTTP(answer, r)
	tried := host.tried()
	tried.Status, tried.Answer = answer.Code, answer.Body.String()
	return tried
}

// inbox finds an inbox.
func (c *Config) inbox(tenant, id string) (InboxConfig, error) {
	var found []InboxConfig
	var names []string
	for _, in := range c.Inboxes {
		names = append(names, in.Tenant+"/"+in.ID)
		if in.ID == id && (tenant == "" || in.Tenant == tenant) {
			found = append(found, in)
		}
	}
	switch {
	case len(found) == 0:
		return InboxConfig{}, fmt.Errorf("there is no inbox %q; there are: %s", id, strings.Join(names, ", "))
	case len(found) > 1:
		return InboxConfig{}, fmt.Errorf("several tenants have an inbox %q: say which by --tenant", id)
	}
	return found[0], nil
}

// trialHost keeps what it is given, and refuses what the real host refuses.
type trialHost struct {
	compiler *event.Compiler
	mu       sync.Mutex
	kept     Tried
}

func newTrialHost() (*trialHost, error) {
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10))) // its ids are seen by nobody
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		return nil, err
	}
	return &trialHost{compiler: compiler}, nil
}

// Submit implements channel.Host.
func (h *trialHost) Submit(_ context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	var violations []event.Violation
	for i, s := range submissions {
		_, err := h.compiler.Compile(tenant, proto.CloneOf(s), time.Now())
		if invalid, ok := errors.AsType[*event.InvalidError](err); ok {
			for _, v := range invalid.Violations {
				violations = append(violations, event.Violation{Field: fmt.Sprintf("submissions[%d].%s", i, v.Field), Reason: v.Reason})
			}
		} else if err != nil {
			return nil, err
		}
	}
	if len(violations) > 0 {
		return nil, &event.InvalidError{Violations: violations}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range submissions {
		h.kept.Submissions = append(h.kept.Submissions, proto.CloneOf(s))
	}
	return make([]channel.Acknowledgement, len(submissions)), nil
}

// PutBlob implements channel.Host.
func (h *trialHost) PutBlob(_ context.Context, info channel.BlobInfo, r io.Reader) (*eventv1.Blob, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, r)
	if err != nil {
		return nil, fmt.Errorf("read a blob: %w", err)
	}
	sum := hash.Sum(nil)
	return &eventv1.Blob{Key: info.Tenant + "/tried/" + hex.EncodeToString(sum), Size: size, Sha256: sum, MediaType: info.MediaType}, nil
}

// Reject implements channel.Host.
func (h *trialHost) Reject(_ context.Context, r channel.Rejection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept.Rejections = append(h.kept.Rejections, r)
	return nil
}

func (h *trialHost) tried() Tried {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kept
}
