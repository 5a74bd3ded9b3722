package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
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
)

// deliveries are under way at once, where each waits for its answer.
const deliveries = 64

// source is a channel and what its provider says.
type source struct {
	channel, message string
	// run makes events of it through the host until ctx ends, as fast as they become durable.
	run func(context.Context, *countingHost) error
	// alone does it one by one with what was made beforehand, and least does what no adapter can leave out and counts the
	// events. Both are nil where that is not measured.
	alone, least func(context.Context, *countingHost) error
}

func sources() ([]source, error) {
	all := []source{{channel: "email", message: "a mail of 2 KB", run: receiveMails}}
	hooks, err := hooks()
	if err != nil {
		return nil, err
	}
	for _, h := range hooks {
		all = append(all, h.source())
	}
	return append(all, kfSource(),
		source{channel: "phone.asterisk", message: "QueueCallerJoin, over AMI", run: followAsterisk},
		source{channel: "phone.freeswitch", message: "CHANNEL_CREATE, over ESL", run: followFreeSwitch}), nil
}

func measureChannels(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Channels: from what a provider says to the log's acknowledgement",
		Text: fmt.Sprintf(`How many of a provider's messages each adapter makes durable events of per second, in one process with its provider, on the embedded
log. Mails and webhooks are answered one by one, %d at a time; a webhook's signature is made and checked; a mail's original is written into the blob
store. A switch sends over TCP as fast as it is read. WeChat customer service is asked for pages, one after the other, and answers from memory.

Beside it, the CPU time of an event in the adapter alone: its handler, with deliveries made beforehand, one at a time, and a host that takes every event and
does nothing. Ceiling: the check of the signature (and decryption), and decoding of the same bodies, once, by encoding/json or encoding/xml into a
struct of those fields that the event needs; what the adapter adds to it is reading the rest, building the event, and HTTP. Both take turns (%d each, the median counts).`, deliveries, b.Turns),
		Columns: []string{"channel", "message", "events", "CPU per event, adapter alone", "allocations per event", "ceiling: check and decode", "adapter ÷ ceiling"},
	}
	all, err := sources()
	if err != nil {
		return nil, err
	}
	err = b.withBroker(ctx, b.engines()[0], func(log *broker) error {
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
		host := intake.New(intake.Config{Compiler: b.events.compiler, Keyring: b.events.keyring, Log: l, Blobs: blobs})
		for _, s := range all {
			row, err := b.measureSource(ctx, host, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.channel, err)
			}
			t.row(row...)
		}
		return nil
	})
	return t, err
}

// measureSource gives the row of a channel.
func (b *bench) measureSource(ctx context.Context, host channel.Host, s source) ([]string, error) {
	through, err := (&countingHost{Host: host}).during(ctx, b.Each, s.run)
	if err != nil {
		return nil, err
	}
	row := []string{s.channel, s.message, through.rate.String()}
	if s.alone == nil {
		return append(row, none, none, none, none), nil
	}
	const part = 10 // of the time, for each turn
	var alone, least []time.Duration
	var allocations []float64
	for range b.Turns {
		a, err := (&countingHost{Host: idleHost{}}).during(ctx, b.Each/part, s.alone)
		if err != nil {
			return nil, fmt.Errorf("alone: %w", err)
		}
		l, err := (&countingHost{Host: idleHost{}}).during(ctx, b.Each/part, s.least)
		if err != nil {
			return nil, fmt.Errorf("the least: %w", err)
		}
		alone, allocations, least = append(alone, a.cpu), append(allocations, a.allocations), append(least, l.cpu)
	}
	took, ceiling := median(alone), median(least)
	return append(row, micros(took), fmt.Sprintf("%.0f", median(allocations)), micros(ceiling), times(took, ceiling)), nil
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

// counted is what was counted in a while.
type counted struct {
	rate rate
	// allocations and CPU time of the process, per event
	allocations float64
	cpu         time.Duration
}

// during counts for a while.
func (h *countingHost) during(ctx context.Context, d time.Duration, run func(context.Context, *countingHost) error) (counted, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, h) }()
	var from int64
	var began time.Time
	var before, after runtime.MemStats
	var cpu time.Duration
	for i, pause := range []time.Duration{d / 4, d} { // the first warms up
		select {
		case err := <-ended:
			return counted{}, errors.Join(errors.New("it ended"), err)
		case <-time.After(pause):
		}
		if i == 0 {
			runtime.ReadMemStats(&before)
			from, began, cpu = h.durable.Load(), time.Now(), cpuTime()
		}
	}
	n, took, cpu := h.durable.Load()-from, time.Since(began), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	cancel()
	per := max(n, 1)
	return counted{rateOf(int(n), took), float64(after.Mallocs-before.Mallocs) / float64(per), cpu / time.Duration(per)}, <-ended
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // there is no such error
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
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
