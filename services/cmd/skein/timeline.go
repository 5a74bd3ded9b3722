package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

func timelineCommand() *cobra.Command {
	var (
		to       client
		asJSON   bool
		follow   bool
		newest   bool
		limit    int
		since    string
		until    string
		types    []string
		channels []string
		threads  []string
		region   string
		customer string
		talk     string
		asOf     string
	)
	cmd := &cobra.Command{
		Use:   "timeline ADDRESS...",
		Short: "Draw what happened with addresses, a customer or in a conversation, on every channel",
		Long: `Draw what happened with one or several addresses, with a customer or in a conversation, merged in order of time.

An address is a mail address, a telephone number, or kind:value:
  anna@example.com   +49 30 1234   sip:anna@example.com
  visitor:7f3c       social:wechat/gh_0123:oABC   id:crm:4711`,
		Example: "  skein timeline anna@example.com\n  skein timeline anna@example.com li.na@example.cn --since 2026-03-01 --type 'message.*'\n  skein timeline anna@example.com --json | jq .event.type\n  skein timeline --customer '+49 30 901820' --as-of 2026-03-01",
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := listRequest(args, threads, region)
			if customer != "" || talk != "" {
				req, err = scopeRequest(args, threads, customer, talk, region)
			}
			if err != nil {
				return err
			}
			if asOf != "" && follow {
				return errors.New("--as-of shows a past moment, which nothing follows: leave out --follow")
			}
			req.Types = types
			if newest {
				req.Order = timelinev1.Order_ORDER_NEWEST_FIRST
			}
			if req.Channels, err = channelsOf(channels); err != nil {
				return err
			}
			if req.From, err = timeOf("since", since); err != nil {
				return err
			}
			if req.Until, err = timeOf("until", until); err != nil {
				return err
			}
			if req.AsOf, err = timeOf("as-of", asOf); err != nil {
				return err
			}
			conn, err := to.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			out := cmd.OutOrStdout()
			draw := newDrawing(out, terminalWidth(), useColor())
			show, showChange := draw.entry, draw.scopeChanged
			if asJSON {
				show = func(e *timelinev1.Entry) error { return writeJSON(out, e) }
				showChange = func(c *timelinev1.ScopeChanged) error {
					return writeJSON(out, &timelinev1.WatchResponse{News: &timelinev1.WatchResponse_ScopeChanged{ScopeChanged: c}})
				}
			}
			n, cursor, err := eachEntry(cmd.Context(), conn, req, limit, show)
			if err != nil {
				return to.explain(err)
			}
			if n == 0 && !asJSON {
				named := slices.DeleteFunc(slices.Concat(args, threads, []string{customer, talk}), func(s string) bool { return s == "" })
				fmt.Fprintln(out, "Nothing is known of", strings.Join(named, ", "))
			}
			if !follow {
				return nil
			}
			return to.explain(followNews(cmd.Context(), conn, req, cursor, func(m *timelinev1.WatchResponse) error {
				switch {
				case m.GetEntry() != nil:
					return show(m.GetEntry())
				case m.GetScopeChanged() != nil:
					return showChange(m.GetScopeChanged())
				}
				return nil
			}))
		},
	}
	f := cmd.Flags()
	to.flags(f)
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	f.BoolVarP(&follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	f.BoolVar(&newest, "newest-first", false, "begin with what happened last")
	f.IntVarP(&limit, "limit", "n", 0, "stop after so many entries; 0 means all")
	f.StringVar(&since, "since", "", "only from this moment on: 2026-03-01 or 2026-03-01T09:00:00Z")
	f.StringVar(&until, "until", "", "only before this moment")
	f.StringSliceVar(&types, "type", nil, "only these types, such as message.received or message.*")
	f.StringSliceVar(&channels, "channel", nil, "only these channels, such as email or web_chat")
	f.StringSliceVar(&threads, "thread", nil, "threads by id, beside or instead of addresses")
	f.StringVar(&customer, "customer", "", "all of a customer, by an address or id, instead of addresses")
	f.StringVar(&talk, "conversation", "", "all of a conversation, by the id of any of its interactions, instead of addresses")
	f.StringVar(&asOf, "as-of", "", "what was known at a past moment: only what had been received, as it was linked then")
	f.StringVar(&region, "region", "", "country of telephone numbers without country code, such as DE")
	return cmd
}

func listRequest(addresses, threads []string, region string) (*timelinev1.ListRequest, error) {
	req := &timelinev1.ListRequest{Order: timelinev1.Order_ORDER_OLDEST_FIRST, ThreadIds: threads}
	for _, text := range addresses {
		a, err := addressOf(text, region)
		if err != nil {
			return nil, err
		}
		req.Addresses = append(req.Addresses, a)
	}
	if len(addresses)+len(threads) == 0 {
		return nil, fmt.Errorf("name an address, a thread, a customer or a conversation: skein timeline anna@example.com")
	}
	return req, nil
}

func scopeRequest(addresses, threads []string, customer, conversation, region string) (*timelinev1.ListRequest, error) {
	if len(addresses)+len(threads) > 0 || customer != "" && conversation != "" {
		return nil, errors.New("name addresses and threads, or a customer, or a conversation: one of the three")
	}
	req := &timelinev1.ListRequest{Order: timelinev1.Order_ORDER_OLDEST_FIRST, ConversationId: conversation}
	if _, err := event.ParseID(customer); err == nil || customer == "" {
		req.CustomerId = customer
		return req, nil
	}
	var err error
	req.CustomerAddress, err = addressOf(customer, region)
	return req, err
}

// addressOf reads an address; region is the country of a telephone number without country code.
func addressOf(text, region string) (*eventv1.Address, error) {
	a, err := event.ParseAddress(text)
	if err == nil && a.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_PHONE {
		a.Region = region
	}
	return a, err
}

// eachEntry pages through a list. It returns how many entries it showed, and the cursor from which a watch goes on.
func eachEntry(ctx context.Context, conn grpc.ClientConnInterface, req *timelinev1.ListRequest, limit int, show func(*timelinev1.Entry) error) (n int, cursor string, err error) {
	service := timelinev1.NewTimelineServiceClient(conn)
	for {
		req.PageSize = 500
		if limit > 0 {
			req.PageSize = int32(min(500, limit-n))
		}
		page, err := service.List(ctx, req)
		if err != nil {
			return n, "", err
		}
		if cursor == "" {
			cursor = page.GetWatchCursor()
		}
		for _, e := range page.GetEntries() {
			if err := show(e); err != nil {
				return n, "", err
			}
			n++
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" || limit > 0 && n >= limit {
			return n, cursor, nil
		}
	}
}

// reconnectAfter is how long to wait before a watch that was cut off goes on.
const reconnectAfter = time.Second

// followEntries shows what is filed behind a cursor until ctx ends. Where the server goes away, it goes on when that is
// back.
func followEntries(ctx context.Context, conn grpc.ClientConnInterface, list *timelinev1.ListRequest, cursor string, show func(*timelinev1.Entry) error) error {
	return followNews(ctx, conn, list, cursor, func(m *timelinev1.WatchResponse) error {
		if e := m.GetEntry(); e != nil {
			return show(e)
		}
		return nil
	})
}

// followNews shows whatever a watch behind a cursor tells, as followEntries does.
func followNews(ctx context.Context, conn grpc.ClientConnInterface, list *timelinev1.ListRequest, cursor string, show func(*timelinev1.WatchResponse) error) error {
	req := &timelinev1.WatchRequest{
		Addresses: list.GetAddresses(), EndpointIds: list.GetEndpointIds(), ThreadIds: list.GetThreadIds(),
		Channels: list.GetChannels(), Types: list.GetTypes(), CustomerId: list.GetCustomerId(), ConversationId: list.GetConversationId(),
		CustomerAddress: list.GetCustomerAddress(), Cursor: cursor,
	}
	for {
		err := followOnce(ctx, conn, req, show)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Ctrl-C is how it ends
		}
		if _, again := rpc.RetryAfter(err); !again {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectAfter):
		}
	}
}

// followOnce shows what one stream brings, and returns why that ended.
func followOnce(ctx context.Context, conn grpc.ClientConnInterface, req *timelinev1.WatchRequest, show func(*timelinev1.WatchResponse) error) error {
	stream, err := timelinev1.NewTimelineServiceClient(conn).Watch(ctx, req)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetReset_() != nil {
			return errors.New("the timelines were built anew: start again")
		}
		req.Cursor = m.GetCursor()
		if err := show(m); err != nil {
			return err
		}
	}
}

func channelsOf(names []string) ([]eventv1.Channel, error) {
	var channels []eventv1.Channel
	for _, n := range names {
		v, ok := eventv1.Channel_value["CHANNEL_"+strings.ToUpper(n)]
		if !ok {
			var known []string
			for i := 1; i < len(eventv1.Channel_name); i++ {
				known = append(known, channelName(eventv1.Channel(i)))
			}
			return nil, fmt.Errorf("--channel: there is no channel %q; there are: %s", n, strings.Join(known, ", "))
		}
		channels = append(channels, eventv1.Channel(v))
	}
	return channels, nil
}

func channelName(c eventv1.Channel) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CHANNEL_"))
}

func timeOf(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return timestamppb.New(t), nil
		}
	}
	return nil, fmt.Errorf("--%s: %q is no time: write 2026-03-01 or 2026-03-01T09:00:00Z", flag, text)
}

func writeJSON(w io.Writer, m proto.Message) error {
	b, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func terminalWidth() int {
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 40 {
		return min(w, 120)
	}
	return 100
}

func useColor() bool {
	return os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(os.Stdout.Fd()))
}
