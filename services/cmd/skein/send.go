package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func sendCommand() *cobra.Command {
	to := &client{}
	req := &channelv1.SendRequest{Message: &channelv1.OutgoingMessage{}}
	var agent string
	var parameters []string
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Answer in a thread, through the channel that it came from",
		Long: `Ask to send a message in a thread, through the channel that it came from, to the address that wrote there last.

Prints event id and position of the request, once it is durable. What becomes of it is an event of the same thread: message.sent, or
message.failed with the reason. The same call with the same --id sends nothing more.`,
		Example: `  skein send --thread 01f3a1c2-... --text 'We send you a new one.'
  skein send --inbox web --native-thread t-17 --agent ada --author Ada --text 'Hello, I am Ada.'
  skein send --thread 01f3a1c2-... --template parcel_sent --language de --parameter 1=Anna --parameter 2=17`,
		Args: cobra.NoArgs,
		RunE: call(to, channelv1.NewChannelServiceClient, func(cmd *cobra.Command, service channelv1.ChannelServiceClient, _ []string) error {
			if req.GetRequestId() == "" {
				req.RequestId = rand.Text()
			}
			if agent != "" {
				req.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agent}
			}
			for _, p := range parameters {
				name, text, ok := strings.Cut(p, "=")
				if !ok {
					return fmt.Errorf("--parameter: %q is not NAME=TEXT", p)
				}
				if req.Message.TemplateParameters == nil {
					req.Message.TemplateParameters = map[string]string{}
				}
				req.Message.TemplateParameters[name] = text
			}
			resp, err := service.Send(cmd.Context(), req)
			if err != nil {
				return err
			}
			p := resp.GetPosition()
			fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s/%d/%d\n", resp.GetEventId(), p.GetTopic(), p.GetPartition(), p.GetOffset())
			return nil
		}),
	}
	to.flags(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&req.ThreadId, "thread", "", "id of the thread")
	flags.StringVar(&req.Inbox, "inbox", "", "inbox of the thread, with --native-thread instead of --thread")
	flags.StringVar(&req.Thread, "native-thread", "", "the provider's id of the thread")
	flags.StringVar(&req.Message.Text, "text", "", "what to say")
	flags.StringVar(&req.Message.Subject, "subject", "", "subject (a mail answers under the thread's unless set)")
	flags.StringVar(&req.Message.Template, "template", "", "name of a template of the provider's, where a message needs one: on WhatsApp, a day after the customer wrote")
	flags.StringVar(&req.Message.TemplateLanguage, "language", "", "language of the template, such as en_US")
	flags.StringArrayVar(&parameters, "parameter", nil, "what stands in a place of the template: NAME=TEXT; once for each")
	flags.StringVar(&agent, "agent", "", "id of the agent who says it (the system, unless set)")
	flags.StringVar(&req.Author, "author", "", "name that the customer sees")
	flags.StringVar(&req.RequestId, "id", "", "id of the request, for calls that are made again (a new one, unless set)")
	return cmd
}

func outboundCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "outbound", Short: "Look at what is to be sent, and at what was not"}
	cmd.AddCommand(outboundListCommand())
	return cmd
}

const statePrefix = "REQUEST_STATE_"

func outboundListCommand() *cobra.Command {
	to := &client{}
	req := &channelv1.ListRequestsRequest{}
	var states []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests to send that are pending, that failed, or of which it is not known",
		Long: `List requests to send: those without an outcome, then those that failed or may have been sent, the newest first.

What is unknown is not sent again by itself. Look it up at the provider, and where it did not arrive, send it anew: skein send`,
		Example: "  skein outbound list\n  skein outbound list --state unknown,failed --inbox support",
		Args:    cobra.NoArgs,
		RunE: call(to, channelv1.NewChannelServiceClient, func(cmd *cobra.Command, service channelv1.ChannelServiceClient, _ []string) error {
			for _, name := range states {
				state, ok := channelv1.RequestState_value[statePrefix+strings.ToUpper(name)]
				if !ok || state == 0 {
					return fmt.Errorf("there is no state %q; there are: pending, sending, unknown, failed", name)
				}
				req.States = append(req.States, channelv1.RequestState(state))
			}
			resp, err := service.ListRequests(cmd.Context(), req)
			if err != nil {
				return err
			}
			return writeOutbound(cmd.OutOrStdout(), resp)
		}),
	}
	to.flags(cmd.Flags())
	cmd.Flags().StringVar(&req.Inbox, "inbox", "", "only those of an inbox")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only these: pending, sending, unknown, failed")
	cmd.Flags().Int32Var(&req.Limit, "limit", 100, "how many at most")
	return cmd
}

func writeOutbound(out io.Writer, resp *channelv1.ListRequestsResponse) error {
	err := table(out, func(w io.Writer) {
		fmt.Fprintln(w, "REQUEST\tINBOX\tREQUESTED\tSTATE\tATTEMPTS\tNEXT\tBECAUSE")
		for _, r := range resp.GetRequests() {
			next := ""
			if r.GetNextAttemptAt() != nil {
				next = r.GetNextAttemptAt().AsTime().Format(time.RFC3339)
			}
			because := strings.Join(slices.DeleteFunc([]string{r.GetCode(), r.GetReason()}, func(s string) bool { return s == "" }), ": ")
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.GetEventId(), r.GetInbox(), moment(r.GetRequestedAt()),
				strings.ToLower(strings.TrimPrefix(r.GetState().String(), statePrefix)), r.GetAttempts(), next, because)
		}
	})
	if err == nil && resp.GetMore() {
		_, err = fmt.Fprintln(out, "There are more: --limit")
	}
	return err
}
