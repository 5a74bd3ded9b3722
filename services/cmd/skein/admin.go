package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
)

// adminCall makes a command's work out of a call of the admin service.
func adminCall(to *client, work func(cmd *cobra.Command, service adminv1.AdminServiceClient, args []string) error) func(*cobra.Command, []string) error {
	return call(to, adminv1.NewAdminServiceClient, work)
}

// call makes a command's work out of a call of a service.
func call[S any](to *client, service func(grpc.ClientConnInterface) S, work func(cmd *cobra.Command, service S, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		conn, err := to.dial()
		if err != nil {
			return err
		}
		defer closeConn(conn)
		return to.explain(work(cmd, service(conn), args))
	}
}

// closeConn closes a connection after its last call.
func closeConn(conn *grpc.ClientConn) { _ = conn.Close() }

func table(w io.Writer, write func(w io.Writer)) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	write(t)
	return t.Flush()
}

func lagCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "lag",
		Short: "Tell how far behind the log each read model is, in events and in time",
		Long:  "Tell how far behind the log each read model is, in events and in time. How far behind webhooks are tells: skein webhooks list",
		Args:  cobra.NoArgs,
		RunE: adminCall(to, func(cmd *cobra.Command, service adminv1.AdminServiceClient, _ []string) error {
			resp, err := service.ListSlices(cmd.Context(), &adminv1.ListSlicesRequest{})
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "SLICE\tGENERATION\tTOPIC\tPARTITION\tNEXT\tBEHIND\tFOR")
				for _, s := range resp.GetSlices() {
					generation := fmt.Sprint(s.GetServing())
					if s.GetBuilding() != 0 {
						generation += fmt.Sprintf(" (building %d)", s.GetBuilding())
					}
					for _, p := range s.GetPartitions() {
						fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.GetName(), generation, s.GetTopic(), p.GetPartition(),
							p.GetNextOffset(), p.GetLagEvents(), p.GetLag().AsDuration().Round(time.Millisecond))
					}
				}
			})
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}

func topicsCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Tell what the topics of the log hold, and how they are set up",
		Args:  cobra.NoArgs,
		RunE: adminCall(to, func(cmd *cobra.Command, service adminv1.AdminServiceClient, _ []string) error {
			resp, err := service.ListTopics(cmd.Context(), &adminv1.ListTopicsRequest{})
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "TOPIC\tPARTITIONS\tRECORDS\tKEPT\tREPLICAS\tNOT IN SYNC\tSETTINGS")
				for _, t := range resp.GetTopics() {
					var records int64
					for _, p := range t.GetPartitions() {
						records += p.GetNextOffset() - p.GetFirstOffset()
					}
					kept := "for ever"
					if t.GetRetention() != nil {
						kept = t.GetRetention().AsDuration().String()
					}
					var settings []string
					for _, name := range slices.Sorted(maps.Keys(t.GetSettings())) {
						settings = append(settings, name+"="+t.GetSettings()[name])
					}
					fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%d\t%d\t%s\n", t.GetName(), len(t.GetPartitions()), records, kept,
						t.GetReplicas(), len(t.GetLagging()), strings.Join(settings, " "))
				}
			})
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}

func channelsCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "channels",
		Short: "Tell which channels there are, what they are connected to, and whether that works",
		Args:  cobra.NoArgs,
		RunE: adminCall(to, func(cmd *cobra.Command, service adminv1.AdminServiceClient, _ []string) error {
			resp, err := service.ListChannels(cmd.Context(), &adminv1.ListChannelsRequest{})
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "CHANNEL\tINBOX\tSOURCE\tSTATE\tSINCE")
				for _, c := range resp.GetChannels() {
					for _, path := range c.GetPaths() {
						fmt.Fprintf(w, "%s\t%s\t%s\twaits to be called\t\n", c.GetName(), inboxOf(path), printable(path))
					}
					if len(c.GetSources())+len(c.GetPaths()) == 0 {
						fmt.Fprintf(w, "%s\t\t\twaits to be called\t\n", c.GetName())
					}
					for _, s := range c.GetSources() {
						state, since := "works", ""
						if s.GetError() != "" {
							state = printable(s.GetError())
						}
						if s.GetSince() != nil {
							since = s.GetSince().AsTime().Local().Format(time.DateTime)
						}
						fmt.Fprintf(w, "%s\t%s/%s\t%s\t%s\t%s\n", c.GetName(), s.GetTenant(), s.GetInbox(), printable(s.GetSource()), state, since)
					}
				}
			})
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}

// inboxOf is the tenant and the inbox in the path of a webhook (/channels/PROVIDER/TENANT/INBOX/...); empty for other paths.
func inboxOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) < 5 || parts[1] != "channels" {
		return ""
	}
	return printable(parts[3] + "/" + parts[4])
}

func rebuildCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "rebuild SLICE",
		Short: "Build a read model anew from the log while the old one serves",
		Long: `Build a read model anew from the log. The old generation serves until the new one has caught up; then they switch, and
the old one is dropped a while later. Ctrl-C ends the watching, not the rebuild; a restart of the server goes on with it.`,
		Example: "  skein rebuild timeline",
		Args:    cobra.ExactArgs(1),
		RunE: adminCall(to, func(cmd *cobra.Command, service adminv1.AdminServiceClient, args []string) error {
			stream, err := service.Rebuild(cmd.Context(), &adminv1.RebuildRequest{Slice: args[0]})
			if err != nil {
				return err
			}
			bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionShowCount(),
				progressbar.OptionShowIts(), progressbar.OptionSetDescription("rebuild "+args[0]), progressbar.OptionThrottle(100*time.Millisecond))
			var last *adminv1.RebuildResponse
			for {
				m, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return err
				}
				last = m
				if m.GetTotal() > 0 {
					bar.ChangeMax64(m.GetTotal())
					_ = bar.Set64(m.GetDone()) // a bar that cannot be drawn is no reason to stop
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nGeneration %d of %s serves.\n", last.GetServing(), args[0])
			return nil
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}
