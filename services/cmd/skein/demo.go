package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/app"
	"github.com/skein-cx/skein/services/channels/social/meta"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/services/demo"
)

const (
	// storyTimeout is how long the story may take.
	storyTimeout = time.Minute
	// pace is the time between two scenes, where a person looks on.
	pace = 400 * time.Millisecond
)

// errDemoTokens says why the demo cannot be played, before anything is started.
var errDemoTokens = errors.New("--demo asks the server without a token, and auth.tokens lets nobody in without one: " +
	"start without --demo, or with a configuration without tokens")

// withStage gives the story a telephone, a number on WhatsApp and an account at WeChat, unless they are there, with secrets that nobody knows, and has
// the console begin with the customer whom the story is about.
func withStage(cfg app.Config) app.Config {
	if cfg.Console.Home == "" {
		cfg.Console.Home = "/console/customers?q=" + url.QueryEscape(demo.Addresses()[2])
	}
	cfg.Inboxes = slices.Clone(cfg.Inboxes)
	for _, in := range []app.InboxConfig{
		{ID: demo.Hotline, Channel: "twilio", Twilio: app.TwilioConfig{
			AccountSID: demo.HotlineAccount, AuthToken: rand.Text(), Numbers: []string{demo.HotlineNumber}, BaseURLs: []string{demo.PublicURL}, TaskRouter: true,
		}},
		{ID: demo.WhatsApp, Channel: "whatsapp", WhatsApp: app.WhatsAppConfig{
			PhoneNumberID: demo.WhatsAppNumberID, BusinessAccountID: demo.WhatsAppBusinessID, AppSecret: rand.Text(), VerifyToken: rand.Text(),
		}},
		{ID: demo.WeChat, Channel: "wechat", WeChat: app.WeChatConfig{
			AppID: demo.WeChatApp, Token: rand.Text(), EncodingAESKey: (rand.Text() + rand.Text())[:43],
		}},
	} {
		in.Tenant = cfg.Tenant
		if !slices.ContainsFunc(cfg.Inboxes, func(other app.InboxConfig) bool { return other.Tenant == in.Tenant && other.ID == in.ID }) {
			cfg.Inboxes = append(cfg.Inboxes, in)
		}
	}
	return cfg
}

// signers sign for the story's social inboxes as their providers do.
func signers(cfg app.Config) map[string]demo.Signer {
	all := map[string]demo.Signer{}
	for _, in := range cfg.Inboxes {
		switch {
		case in.Tenant != cfg.Tenant:
		case in.ID == demo.WhatsApp && in.Channel == "whatsapp":
			all[in.ID] = func(body []byte) ([]byte, string, http.Header, error) {
				return body, "", http.Header{meta.SignatureHeader: {meta.Sign(in.WhatsApp.AppSecret, body)}, "Content-Type": {"application/json"}}, nil
			}
		case in.ID == demo.WeChat && in.Channel == "wechat":
			all[in.ID] = func(body []byte) ([]byte, string, http.Header, error) { return sealed(in.WeChat, body) }
		}
	}
	return all
}

// sealed is a delivery in safe mode.
func sealed(account app.WeChatConfig, body []byte) ([]byte, string, http.Header, error) {
	crypto, err := wechat.NewCrypto(account.AppID, account.EncodingAESKey)
	if err != nil {
		return nil, "", nil, err
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	body, signature, err := crypto.Seal(body, account.Token, timestamp, nonce)
	query := url.Values{
		"signature": {wechat.Signature(account.Token, timestamp, nonce)}, "timestamp": {timestamp}, "nonce": {nonce}, "encrypt_type": {"aes"}, "msg_signature": {signature},
	}
	return body, query.Encode(), http.Header{"Content-Type": {"text/xml"}}, err
}

// playDemo plays the story through the real channels and shows how the timeline grows. A story that is there already is
// only shown.
func playDemo(ctx context.Context, out io.Writer, a *app.App, cfg app.Config) error {
	ctx, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	conn, err := rpc.Dial(a.GRPCAddr(), "", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	chat := "http://" + a.HTTPAddr() + "/chat/v1/" + demo.Widget + "/"
	t := &theatre{
		out: out, conn: conn, drawing: newDrawing(out, terminalWidth(), useColor()), scenes: demo.Story(), filed: map[string]bool{},
		player: &demo.Player{
			SMTP: cfg.Email.SMTP, Chat: chat, Ingest: ingestv1.NewIngestServiceClient(conn),
			Directory: directoryv1.NewDirectoryServiceClient(conn), Agents: agentv1.NewAgentServiceClient(conn),
			HTTP: "http://" + a.HTTPAddr(), Tenant: cfg.Tenant, TwilioToken: cfg.TwilioToken(demo.Hotline), Sign: signers(cfg),
			Token: func(visitor, thread string) (string, error) { return a.VisitorToken(demo.Widget, visitor, thread) },
		},
	}
	if err := t.player.Staff(ctx); err != nil {
		return err
	}
	if _, err := t.player.Ingest.Publish(ctx, &ingestv1.PublishRequest{Submissions: demo.Known()}); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if !cfg.TakesMail(demo.Inbox) {
		t.leaveOut("The mails are left out: email.smtp is empty, or no inbox of tenant "+cfg.Tenant+" has the address "+demo.Inbox+".",
			func(s demo.Scene) bool { return s.Mail != nil })
	}
	if !cfg.HasWidget(demo.Widget) {
		t.leaveOut("The chats are left out: no inbox of tenant "+cfg.Tenant+" is a web_chat with the id "+demo.Widget+".",
			func(s demo.Scene) bool { return s.Line != nil })
	}
	if t.player.TwilioToken == "" {
		t.leaveOut("The call is left out: no inbox of tenant "+cfg.Tenant+" is a twilio with the id "+demo.Hotline+".",
			func(s demo.Scene) bool { return s.Call != nil })
	}
	for _, social := range []string{demo.WhatsApp, demo.WeChat} {
		if t.player.Sign[social] == nil {
			t.leaveOut("What is written by "+social+" is left out: no inbox of tenant "+cfg.Tenant+" has this channel and this id.",
				func(s demo.Scene) bool {
					return s.Delivery != nil && s.Delivery.Inbox == social || s.Said.GetInbox() == social
				})
		}
	}
	if err := t.show(ctx); err != nil {
		return err
	}
	tryNext(out, a, cfg, chat)
	return nil
}

// theatre plays scenes and shows them as the timeline gets them.
type theatre struct {
	out     io.Writer
	conn    grpc.ClientConnInterface
	drawing *drawing
	player  *demo.Player
	scenes  []demo.Scene
	filed   map[string]bool // native ids that the timeline holds
}

func (t *theatre) leaveOut(why string, which func(demo.Scene) bool) {
	fmt.Fprintln(t.out, why)
	t.scenes = slices.DeleteFunc(t.scenes, which)
}

// missing are the scenes that the timeline does not hold.
func (t *theatre) missing() (ids []string) {
	for _, s := range t.scenes {
		if !t.filed[s.ID] {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// show draws what the timeline holds, and then the story as it is filed.
func (t *theatre) show(ctx context.Context) error {
	addresses := demo.Addresses()
	req, err := listRequest(addresses, nil, "")
	if err != nil {
		return err
	}
	var entries []*timelinev1.Entry
	_, cursor, err := eachEntry(ctx, t.conn, req, 0, func(e *timelinev1.Entry) error {
		entries = append(entries, e)
		t.filed[e.GetContent().GetNativeId()] = true
		return nil
	})
	if err != nil {
		return err
	}
	missing := t.missing()
	switch {
	case len(t.scenes) == 0:
		fmt.Fprintln(t.out, "So there is nothing to play.")
	case len(missing) == 0:
		fmt.Fprintln(t.out, "The story is there already: playing it again would add nothing.")
	case len(missing) < len(t.scenes):
		fmt.Fprintf(t.out, "Of the story, %d of %d moments are there already: it is played again, which adds only what is missing.\n", len(t.scenes)-len(missing), len(t.scenes))
	default:
		fmt.Fprintf(t.out, "A story of %d moments, which are shown one after the other, as the timeline gets them.\n", len(t.scenes))
	}
	if len(entries)+len(missing) > 0 {
		fmt.Fprintf(t.out, "The timeline of %s:\n", strings.Join(addresses, ", "))
	}
	for _, e := range entries {
		if err := t.drawing.entry(e); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err = t.play(ctx, req, cursor)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("after %s the timeline lacks %s", storyTimeout, strings.Join(t.missing(), ", "))
	}
	return err
}

// play plays the whole story while it follows the timeline. Each scene waits until the one before was shown, so that the
// story is told in its order, whichever partition is faster.
func (t *theatre) play(ctx context.Context, req *timelinev1.ListRequest, cursor string) error {
	following, end := context.WithCancel(ctx)
	defer end()
	g, playing := errgroup.WithContext(following)
	shown := make(chan string)
	g.Go(func() error {
		return followEntries(playing, t.conn, req, cursor, func(e *timelinev1.Entry) error {
			if err := t.drawing.entry(e); err != nil {
				return err
			}
			select {
			case shown <- e.GetContent().GetNativeId():
			case <-playing.Done():
			}
			return nil
		})
	})
	g.Go(func() error {
		defer end()
		defer t.player.Close()
		if t.player.TwilioToken != "" {
			for _, s := range demo.Shift() {
				if err := t.player.Play(playing, s); err != nil {
					return err
				}
			}
		}
		for _, s := range t.scenes {
			if err := t.player.Play(playing, s); err != nil {
				return err
			}
			if err := t.await(playing, s.ID, shown); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// await waits until a scene was shown. Where a person looks on, there is time to read it.
func (t *theatre) await(ctx context.Context, id string, shown <-chan string) error {
	if t.filed[id] {
		return nil // the list showed it
	}
	for !t.filed[id] {
		select {
		case other := <-shown:
			t.filed[other] = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	select {
	case <-time.After(pace):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryNext tells a newcomer how to go on.
func tryNext(out io.Writer, a *app.App, cfg app.Config, chat string) {
	skein, server, kafka := os.Args[0], "", ""
	if standard := app.Default(); a.GRPCAddr() != standard.GRPC.Addr {
		server = " --server " + a.GRPCAddr()
	}
	if addrs := strings.Join(a.KafkaAddrs(), ","); addrs != app.Default().Log.Addr {
		kafka = " --kafka " + addrs
	}
	anna := demo.Addresses()[2] // her telephone
	tries := [][2]string{
		{"The console, which begins with her:", "http://" + a.HTTPAddr() + "/"},
		{"Who calls from this number, by what the CRM knows:", skein + " customer " + anna + server},
		{"Her timeline over five channels, and what comes:", skein + " timeline --customer " + anna + " --follow" + server},
	}
	tries = append(tries, [][2]string{
		{"The queues, teams and agents at this moment; with --follow, live:", skein + " board" + server},
		{"What one of the agents does and has room for:", skein + " agent " + demo.Tom + server},
		{"What he had in hand:", skein + " agent " + demo.Tom + " --contacts" + server},
		{"How the day of her call was for him:", skein + " agent " + demo.Tom + " --day " + demo.Shift()[0].At.Format(time.DateOnly) + server},
	}...)
	if cfg.HasWidget(demo.Widget) {
		tries = append(tries, [2]string{"Chat as a visitor, in a browser:", chat})
	}
	tries = append(tries, [][2]string{
		{"The same timeline as JSON, one entry a line:", skein + " timeline --customer " + anna + " --json" + server},
		{"What is open, over REST:", "curl -s http://" + a.HTTPAddr() + "/v1/work:list -d '{}'"},
		{"The log, event by event:", skein + " tail --from-beginning" + kafka},
		{"How to hand in an event of your own:", skein + " publish --help"},
		{"What could not be understood, if anything:", skein + " dead list" + server},
		{"What Prometheus sees:", "curl -s http://" + a.HTTPAddr() + "/metrics"},
	}...)
	fmt.Fprintf(out, "\nTry next, in another terminal:\n")
	for _, try := range tries {
		fmt.Fprintf(out, "  %s\n    %s\n", try[0], try[1])
	}
	if cfg.TakesMail(demo.Inbox) {
		fmt.Fprintf(out, "Or write a mail to %s through SMTP at %s.\n", demo.Inbox, cfg.Email.SMTP)
	}
	fmt.Fprintf(out, "Ctrl-C stops; the data stay in %s.\n", cfg.Data)
}
