package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
)

func webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Look at the endpoints that get events by HTTP, and switch them off and on",
	}
	cmd.AddCommand(webhooksListCommand(), webhooksEnableCommand(), webhooksDisableCommand())
	return cmd
}

func webhooksListCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Tell how the endpoints are",
		Long: `Tell of each endpoint whether it is on, how many events it is behind the log, and which events it could not be given yet.

BEHIND counts all events that the endpoint's partitions hold behind its place, those among them that it does not want. An
event that fails holds up its partition, so that threads keep their order; it is tried again for a day, then the endpoint is
switched off.`,
		Example: "  skein webhooks list",
		Args:    cobra.NoArgs,
		RunE: call(to, adminv1.NewWebhookServiceClient, func(cmd *cobra.Command, service adminv1.WebhookServiceClient, _ []string) error {
			resp, err := service.ListWebhooks(cmd.Context(), &adminv1.ListWebhooksRequest{})
			if err != nil {
				return err
			}
			return writeWebhooks(cmd.OutOrStdout(), resp.GetWebhooks())
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}

// writeWebhooks draws the endpoints, and below them what fails, if anything does.
func writeWebhooks(out io.Writer, webhooks []*adminv1.Webhook) error {
	failing := 0
	err := table(out, func(w io.Writer) {
		fmt.Fprintln(w, "ENDPOINT\tTENANT\tBEHIND\tFAILING\tSTATE\tURL")
		for _, h := range webhooks {
			failing += len(h.GetFailing())
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", h.GetId(), h.GetTenant(), behind(h), len(h.GetFailing()), stateOf(h), h.GetUrl())
		}
	})
	if err != nil || failing == 0 {
		return err
	}
	fmt.Fprintln(out)
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "ENDPOINT\tPOSITION\tFAILS SINCE\tLAST TRIED\tATTEMPTS\tBECAUSE")
		for _, h := range webhooks {
			for _, f := range h.GetFailing() {
				p := f.GetPosition()
				fmt.Fprintf(w, "%s\t%s/%d/%d\t%s\t%s\t%d\t%s\n", h.GetId(), p.GetTopic(), p.GetPartition(), p.GetOffset(),
					moment(f.GetSince()), moment(f.GetLast()), f.GetAttempts(), f.GetError())
			}
		}
	})
}

func behind(h *adminv1.Webhook) int64 {
	var events int64
	for _, p := range h.GetPartitions() {
		events += p.GetLagEvents()
	}
	return events
}

func stateOf(h *adminv1.Webhook) string {
	if off := h.GetOff(); off != nil {
		return "off since " + moment(off.GetAt()) + ": " + off.GetReason()
	}
	return "on"
}

func moment(t *timestamppb.Timestamp) string { return t.AsTime().Format(time.RFC3339) }

func webhooksEnableCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "enable ID",
		Short: "Let an endpoint that is off go on where it stopped",
		Long: `Let an endpoint that is off go on where it stopped: it gets everything that it missed, in order, and has a whole day of
failures before it again. One that is on is left as it is.`,
		Example: "  skein webhooks enable crm",
		Args:    cobra.ExactArgs(1),
		RunE: call(to, adminv1.NewWebhookServiceClient, func(cmd *cobra.Command, service adminv1.WebhookServiceClient, args []string) error {
			resp, err := service.EnableWebhook(cmd.Context(), &adminv1.EnableWebhookRequest{Id: args[0]})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is on, %d events behind the log.\n", args[0], behind(resp.GetWebhook()))
			return nil
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}

func webhooksDisableCommand() *cobra.Command {
	to := &client{}
	var reason string
	cmd := &cobra.Command{
		Use:   "disable ID",
		Short: "End deliveries to an endpoint, which keeps its place",
		Long: `End deliveries to an endpoint. It keeps its place, and gets what it missed when it is enabled again. One that is off is left
as it is, with the reason that it has.

Disabling and enabling an endpoint also has it tried at once, where it is waiting after failures.`,
		Example: "  skein webhooks disable crm --reason 'moves to another data centre'",
		Args:    cobra.ExactArgs(1),
		RunE: call(to, adminv1.NewWebhookServiceClient, func(cmd *cobra.Command, service adminv1.WebhookServiceClient, args []string) error {
			resp, err := service.DisableWebhook(cmd.Context(), &adminv1.DisableWebhookRequest{Id: args[0], Reason: reason})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", args[0], stateOf(resp.GetWebhook()))
			return nil
		}),
	}
	to.flags(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the next person who looks (who did it, unless set)")
	return cmd
}
