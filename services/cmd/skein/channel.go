package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/app"
)

func channelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "channel", Short: "Try a channel's configuration"}
	cmd.AddCommand(channelTryCommand())
	return cmd
}

// maxBody is how large a body may be that is tried.
const maxBody = 64 << 20

func channelTryCommand() *cobra.Command {
	var (
		trial   app.Trial
		headers []string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "try --inbox ID BODY | -",
		Short: "Show which events a webhook's body would become, or what is wrong and where",
		Long: `Show which events a webhook's body would become, or what is wrong with it and where. Nothing is published, and no server
need run: the configuration of the inbox is all that is used. It works for all channels to which a provider delivers by HTTP.

The body comes from a file or the standard input ("-"). With --verify the signature is checked as well, as of a delivery that comes
now, and the answer is shown that the provider would get; without, it need not be there.`,
		Example: `  skein channel try --config skein.yaml --inbox shop --header X-Shopify-Topic=orders/create order.json
  skein channel try --config skein.yaml --inbox shop --json order.json | skein publish -
  curl -s https://shop.example/sample | skein channel try -c skein.yaml --inbox shop -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if trial.Header, err = headersOf(headers); err != nil {
				return err
			}
			if trial.Body, err = bodyOf(cmd.InOrStdin(), args[0]); err != nil {
				return err
			}
			tried, err := app.Try(cmd.Context(), cfg, trial)
			if err != nil {
				return err
			}
			return showTried(cmd.OutOrStdout(), cmd.ErrOrStderr(), tried, asJSON)
		},
	}
	cmd.Flags().StringP("config", "c", "", "configuration file (YAML)")
	cmd.Flags().StringVar(&trial.Inbox, "inbox", "", "the inbox")
	cmd.Flags().StringVar(&trial.Tenant, "tenant", "", "the inbox's tenant, where several have one of this name")
	cmd.Flags().StringArrayVar(&headers, "header", nil, "a header of the delivery: NAME=VALUE; may stand several times")
	cmd.Flags().StringVar(&trial.Query, "query", "", "query of the delivery's address: a=1&b=2")
	cmd.Flags().StringVar(&trial.Path, "path", "", "what follows the inbox in the address, such as /call (twilio)")
	cmd.Flags().BoolVar(&trial.Verify, "verify", false, "check the signature, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one submission as JSON a line, as skein publish takes them")
	cobra.CheckErr(cmd.MarkFlagRequired("inbox"))
	return cmd
}

func headersOf(pairs []string) (http.Header, error) {
	h := http.Header{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--header: %q is not NAME=VALUE", pair)
		}
		h.Add(name, value)
	}
	return h, nil
}

func bodyOf(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // nothing was written
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return body, nil
}

// errNotTaken says that something of a delivery that was tried is wrong. What, was shown.
var errNotTaken = errors.New("the delivery is not taken as it comes")

func showTried(out, complaints io.Writer, tried app.Tried, asJSON bool) error {
	for _, s := range tried.Submissions {
		var err error
		if asJSON {
			err = writeJSON(out, s)
		} else {
			err = showSubmission(out, s)
		}
		if err != nil {
			return err
		}
	}
	if !asJSON {
		switch n := len(tried.Submissions); n {
		case 1:
			fmt.Fprintln(out, "1 event.")
		default:
			fmt.Fprintf(out, "%d events.\n", n)
		}
	}
	for _, r := range tried.Rejections {
		fmt.Fprintf(complaints, "Rejected: %s\n", printable(r.Reason))
	}
	failed := len(tried.Rejections) > 0
	if tried.Status != 0 {
		to := complaints
		if !asJSON {
			to = out
		}
		fmt.Fprintf(to, "Answered: %d %s\n", tried.Status, http.StatusText(tried.Status))
		if answer := strings.TrimSpace(tried.Answer); answer != "" {
			fmt.Fprintf(to, "%s\n", rawView([]byte(answer)))
		}
		failed = failed || tried.Status/100 != 2
	}
	if failed {
		return errNotTaken
	}
	return nil
}

// showSubmission shows an event field by field.
func showSubmission(out io.Writer, s *eventv1.Submission) error {
	fmt.Fprintln(out, s.GetType())
	err := table(out, func(w io.Writer) {
		field := func(name, value string) {
			if strings.TrimSpace(value) != "" {
				fmt.Fprintf(w, "  %s\t%s\n", name, printable(value))
			}
		}
		field("thread", s.GetThread())
		field("native id", s.GetNativeId())
		if s.GetOccurredAt() != nil {
			field("occurred", s.GetOccurredAt().AsTime().Format(time.RFC3339Nano))
		}
		field("provider", s.GetProvider())
		field("channel", wordOf(s.GetChannel()))
		field("direction", wordOf(s.GetDirection()))
		field("origin", wordOf(s.GetOrigin()))
		field("actor", strings.TrimSpace(wordOf(s.GetActor().GetKind())+" "+s.GetActor().GetId()))
		field("language", s.GetLanguage())
		field("queue", s.GetQueue())
		field("interaction", s.GetInteraction())
		field("visit", s.GetVisit())
		field("assignment", s.GetAssignment())
		for _, p := range s.GetParties() {
			text := wordOf(p.GetRole())
			if p.GetAddress() != nil {
				text += " " + event.FormatAddress(p.GetAddress())
			}
			if p.GetDisplayName() != "" {
				text += " (" + p.GetDisplayName() + ")"
			}
			field(firstOf(wordOf(p.GetSide()), "party"), strings.TrimSpace(text))
		}
	})
	if err != nil {
		return err
	}
	return showContent(out, s.GetContent())
}

// wordOf is the name of an enum's value in lower case without its prefix; empty for the one that says nothing.
func wordOf(e protoreflect.Enum) string {
	if e.Number() == 0 {
		return ""
	}
	prefix := strings.TrimSuffix(string(e.Descriptor().Values().ByNumber(0).Name()), "UNSPECIFIED")
	value := e.Descriptor().Values().ByNumber(e.Number())
	if value == nil {
		return fmt.Sprint(e.Number())
	}
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
}

// showContent shows what is in an event as JSON, and an extension's data as what it is.
func showContent(out io.Writer, c *eventv1.Content) error {
	data, mediaType := c.GetExtension().GetData(), c.GetExtension().GetMediaType()
	if mediaType != "" {
		c = proto.CloneOf(c)
		c.Body = nil
	}
	if c != nil && proto.Size(c) > 0 {
		text, err := protojson.Marshal(c)
		if err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		var b bytes.Buffer
		if err := json.Indent(&b, text, "    ", "  "); err != nil { // protojson puts spaces where it likes
			return fmt.Errorf("write JSON: %w", err)
		}
		fmt.Fprintf(out, "  content\n    %s\n", rawView(b.Bytes()))
	}
	if mediaType != "" {
		fmt.Fprintf(out, "  carries %d bytes of %s\n", len(data), printable(mediaType))
		if utf8.Valid(data) {
			fmt.Fprintf(out, "    %s\n", cutText(printable(strings.Join(strings.Fields(string(data)), " ")), 160))
		}
	}
	return nil
}
