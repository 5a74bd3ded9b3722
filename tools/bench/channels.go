package bench

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/intake"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/phone/asterisk"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

// deliveries are under way at once, where each waits for its answer.
const deliveries = 64

func measureChannels(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Channels: from what a provider says to the log's acknowledgement",
		Text: fmt.Sprintf(`How many of a provider's messages each adapter makes durable events of per second, in one process with its provider, on the embedded
log. Mails and webhooks are answered one by one, %d at a time; a webhook's signature is made and checked; a mail's original is written into the blob
store. A switch sends over TCP as fast as it is read.`, deliveries),
		Columns: []string{"channel", "message", "events"},
	}
	err := b.withBroker(ctx, b.engines()[0], func(log *broker) error {
		l, err := openLog(ctx, log, event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDead)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		dir := b.newDir()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		blobs, err := blob.Open(ctx, "file://"+dir)
		if err != nil {
			return err
		}
		defer func() { _ = blobs.Close() }() // everything is written
		host := &countingHost{Host: intake.New(intake.Config{Compiler: b.events.compiler, Keyring: b.events.keyring, Log: l, Blobs: blobs})}
		for _, c := range []struct {
			channel, message string
			run              func(context.Context, *countingHost) error
		}{
			{"email", "a mail of 2 KB", receiveMails},
			{"phone.twilio", "a short message, by webhook", receiveWebhooks},
			{"phone.asterisk", "QueueCallerJoin, over AMI", followAsterisk},
			{"phone.freeswitch", "CHANNEL_CREATE, over ESL", followFreeSwitch},
		} {
			r, err := host.during(ctx, b.Each, c.run)
			if err != nil {
				return fmt.Errorf("%s: %w", c.channel, err)
			}
			t.row(c.channel, c.message, r.String())
		}
		return nil
	})
	return t, err
}

// countingHost counts what became durable.
type countingHost struct {
	channel.Host
	durable atomic.Int64
}

// Submit implements channel.Host.
func (h *countingHost) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	acks, err := h.Host.Submit(ctx, tenant, submissions...)
	h.durable.Add(int64(len(acks)))
	return acks, err
}

// Reject implements channel.Host. The benchmark's messages are understood.
func (h *countingHost) Reject(_ context.Context, r channel.Rejection) error {
	return fmt.Errorf("rejected: %s", r.Reason)
}

// during counts for a while.
func (h *countingHost) during(ctx context.Context, d time.Duration, run func(context.Context, *countingHost) error) (rate, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, h) }()
	var from int64
	var began time.Time
	for i, pause := range []time.Duration{d / 4, d} { // the first warms up
		select {
		case err := <-ended:
			return 0, errors.Join(errors.New("it ended"), err)
		case <-time.After(pause):
		}
		if i == 0 {
			from, began = h.durable.Load(), time.Now()
		}
	}
	r := rateOf(int(h.durable.Load()-from), time.Since(began))
	cancel()
	return r, <-ended
}

// each calls again and again, many at once, until ctx ends.
func each(ctx context.Context, call func(ctx context.Context, n int64) error) error {
	var next atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	for range deliveries {
		g.Go(func() error {
			for gctx.Err() == nil {
				if err := call(context.WithoutCancel(gctx), next.Add(1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func receiveMails(ctx context.Context, host *countingHost) error {
	own := &email.Routes[struct{}]{}
	if err := own.Add("support@skein.example", struct{}{}); err != nil {
		return err
	}
	inbox := email.Inbox{Tenant: tenant, ID: "support", Own: own}
	text := strings.Repeat("The kettle drips at the handle when it boils, and there is a puddle.\r\n", 25)
	return each(ctx, func(ctx context.Context, n int64) error {
		raw := fmt.Sprintf("From: Anna <anna%d@example.com>\r\nTo: support@skein.example\r\nSubject: Kettle\r\nDate: Mon, 2 Mar 2026 08:14:00 +0000\r\n"+
			"Message-ID: <%d@mail.example.com>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", n%1000, n, text)
		reason, err := email.Parse([]byte(raw)).Deliver(ctx, host, inbox)
		if reason != "" {
			err = errors.New(reason)
		}
		return err
	})
}

func receiveWebhooks(ctx context.Context, host *countingHost) error {
	const account, token, base, path = "AC00000000000000000000000000000000", "token", "https://skein.example", "/channels/twilio/" + tenant + "/sms/message"
	mux := http.NewServeMux()
	c, err := twilio.New(twilio.Config{Mux: mux, Accounts: []twilio.Account{{
		Tenant: tenant, Inbox: "sms", AccountSID: account, AuthToken: token, Numbers: []string{"+4930200100"}, BaseURLs: []string{base},
	}}})
	if err != nil {
		return err
	}
	if err := c.Open(ctx, host); err != nil {
		return err
	}
	return each(ctx, func(ctx context.Context, n int64) error {
		form := url.Values{
			"AccountSid": {account}, "MessageSid": {fmt.Sprintf("SM%032x", n)}, "SmsStatus": {"received"}, "From": {fmt.Sprintf("+4930901%05d", n%1000)},
			"To": {"+4930200100"}, "Body": {"Could you tell me when my order will leave the warehouse?"}, "NumMedia": {"0"},
		}
		mac := hmac.New(sha1.New, []byte(token))
		mac.Write([]byte(base + path))
		for _, name := range slices.Sorted(maps.Keys(form)) {
			mac.Write([]byte(name + form.Get(name)))
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK && answer.Code != http.StatusNoContent {
			return fmt.Errorf("answered %d: %s", answer.Code, answer.Body)
		}
		return nil
	})
}

// follow runs a channel that connects to a switch, which talks as fast as it is heard.
func follow(ctx context.Context, host channel.Host, open func(addr string) (channel.Channel, error), talk func(ctx context.Context, conn net.Conn)) error {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }() // nobody dials any more
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			go func() {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				talk(ctx, conn)
			}()
		}
	}()
	c, err := open(socket.Addr().String())
	if err != nil {
		return err
	}
	if err := c.Open(ctx, host); err != nil {
		return err
	}
	return c.Run(ctx)
}

func followAsterisk(ctx context.Context, host *countingHost) error {
	return follow(ctx, host, func(addr string) (channel.Channel, error) {
		return asterisk.New(asterisk.Config{Switches: []asterisk.Switch{{Tenant: tenant, Inbox: "pbx", Addr: addr, Username: "u", Secret: "s", Region: "DE"}}})
	}, func(ctx context.Context, conn net.Conn) {
		out := bufio.NewWriterSize(conn, 64<<10)
		_, _ = out.WriteString("Asterisk Call Manager/7.0.3\r\n")
		_ = out.Flush()
		in := textproto.NewReader(bufio.NewReader(conn))
		for n := int64(0); ; {
			action, err := in.ReadMIMEHeader()
			if err != nil {
				return
			}
			id, name := action.Get("Actionid"), strings.ToLower(action.Get("Action"))
			fmt.Fprintf(out, "Response: Success\r\nActionID: %s\r\nTimestamp: 1772355600.000000\r\n\r\n", id)
			if done, ok := map[string]string{"coreshowchannels": "CoreShowChannelsComplete", "queuestatus": "QueueStatusComplete"}[name]; ok {
				fmt.Fprintf(out, "Event: %s\r\nEventList: Complete\r\nActionID: %s\r\n\r\n", done, id)
			}
			if out.Flush() != nil {
				return
			}
			for name == "queuestatus" && ctx.Err() == nil {
				n++
				_, err := fmt.Fprintf(out, "Event: QueueCallerJoin\r\nPrivilege: agent,all\r\nTimestamp: 1772355603.%06d\r\nChannel: PJSIP/trunk-%08x\r\n"+
					"ChannelState: 6\r\nCallerIDNum: 030901%05d\r\nCallerIDName: Anna\r\nUniqueid: 1772355603.%d\r\nLinkedid: 1772355603.%[4]d\r\nQueue: support\r\n"+
					"Position: 1\r\nCount: 1\r\n\r\n", n%1e6, n, n%1000, n)
				if err != nil {
					return
				}
			}
		}
	})
}

func followFreeSwitch(ctx context.Context, host *countingHost) error {
	return follow(ctx, host, func(addr string) (channel.Channel, error) {
		return freeswitch.New(freeswitch.Config{Switches: []freeswitch.Switch{{Tenant: tenant, Inbox: "fs", Addr: addr, Password: "p", Region: "DE"}}})
	}, func(ctx context.Context, conn net.Conn) {
		out := bufio.NewWriterSize(conn, 64<<10)
		reply := func(text string) bool {
			_, err := out.WriteString(text)
			return err == nil && out.Flush() == nil
		}
		if !reply("Content-Type: auth/request\n\n") {
			return
		}
		in := bufio.NewReader(conn)
		go func() { // what is asked while it talks
			<-ctx.Done()
			_ = conn.Close()
		}()
		for subscribed := false; ; {
			command, err := in.ReadString('\n')
			switch command = strings.TrimSpace(command); {
			case err != nil:
				return
			case command == "":
			case strings.HasPrefix(command, "api strmicroepoch"):
				reply("Content-Type: api/response\nContent-Length: 16\n\n1772355600000000")
				if subscribed {
					go func() { _, _ = io.Copy(io.Discard, in) }()
					talkESL(ctx, out)
					return
				}
			case strings.HasPrefix(command, "event "):
				subscribed = reply("Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n")
			case !reply("Content-Type: command/reply\nReply-Text: +OK accepted\n\n"):
				return
			}
		}
	})
}

func talkESL(ctx context.Context, out *bufio.Writer) {
	for n := 1; ctx.Err() == nil; n++ {
		body := fmt.Sprintf("Event-Name: CHANNEL_CREATE\nCore-UUID: 6a1b3c1e-0000-4000-8000-000000000001\nEvent-Sequence: %d\nEvent-Date-Timestamp: %d\n"+
			"Channel-State: CS_INIT\nCall-Direction: inbound\nUnique-ID: 6a1b3c1e-0000-4000-8000-%012x\nChannel-Call-UUID: 6a1b3c1e-0000-4000-8000-%012[3]x\n"+
			"Caller-Direction: inbound\nCaller-Caller-ID-Number: 030901%05d\nCaller-Caller-ID-Name: Anna\nCaller-Destination-Number: %%2B4930200100\n"+
			"Caller-Unique-ID: 6a1b3c1e-0000-4000-8000-%012[3]x\n\n", n, 1772355600000000+n, n, n%1000)
		if _, err := fmt.Fprintf(out, "Content-Length: %d\nContent-Type: text/event-plain\n\n%s", len(body), body); err != nil {
			return
		}
	}
}
