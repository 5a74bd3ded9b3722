package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/directory"
)

func directoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "directory",
		Short: "Keep who works here: agents, teams, queues, business hours and settings",
		Long: `Keep who works here: agents, teams, queues, business hours and settings, each with the moment from which on it holds.
The file that import reads and export writes is described in docs/directory.md.`,
	}
	cmd.AddCommand(directoryImportCommand(), directoryExportCommand(), directoryListCommand(), directoryShowCommand())
	return cmd
}

func directoryImportCommand() *cobra.Command {
	to := &client{}
	var validFrom string
	var dryRun, prune bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "State the entries of a file (- for the standard input)",
		Long: `State the entries of a file. All of it is checked before the first is written, and what says the same already writes nothing, so that a file
can be imported again and again. Entries that are missing in the file stay, unless --prune is given: then those of the kinds of which the file
has a list are removed. It needs a token with the directory right or the admin right.`,
		Example: "  skein directory import company.yaml --dry-run\n  skein directory import monday.yaml --valid-from 2026-03-09\n  skein directory import company.yaml --prune",
		Args:    cobra.ExactArgs(1),
		RunE: call(to, directoryv1.NewDirectoryServiceClient, func(cmd *cobra.Command, service directoryv1.DirectoryServiceClient, args []string) error {
			from, err := timeOf("valid-from", validFrom)
			if err != nil {
				return err
			}
			file, err := readDirectory(cmd, args[0], from)
			if err != nil {
				return err
			}
			entries := slices.Clone(file.Entries)
			if prune {
				missing, err := missingIn(cmd, service, file)
				if err != nil {
					return err
				}
				entries = append(entries, missing...)
			}
			if len(entries) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "There is nothing to import.")
				return nil
			}
			resp, err := service.Put(cmd.Context(), &directoryv1.PutRequest{Entries: entries, RequestId: "import-" + rand.Text(), DryRun: dryRun})
			if err != nil {
				return inFile(err, file)
			}
			return writeOutcomes(cmd.OutOrStdout(), entries, resp.GetOutcomes(), dryRun)
		}),
	}
	to.flags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&validFrom, "valid-from", "", "moment from which on entries hold that state none themselves; the file's, or now, unless given")
	f.BoolVar(&dryRun, "dry-run", false, "check everything and tell what would change, and write nothing")
	f.BoolVar(&prune, "prune", false, "remove what the file's lists do not have")
	return cmd
}

func readDirectory(cmd *cobra.Command, path string, from *timestamppb.Timestamp) (*directory.File, error) {
	if path == "-" {
		data, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return nil, fmt.Errorf("read the standard input: %w", err)
		}
		return directory.ReadFile("standard input", data, from)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return directory.ReadFile(path, data, from)
}

// missingIn are the entries that hold when the file does and that its lists do not have, as removed.
func missingIn(cmd *cobra.Command, service directoryv1.DirectoryServiceClient, file *directory.File) ([]*eventv1.DirectoryUpdated, error) {
	var missing []*eventv1.DirectoryUpdated
	for _, kind := range file.Kinds {
		held, err := listDirectory(cmd, service, kind, file.ValidFrom)
		if err != nil {
			return nil, err
		}
		for _, e := range held {
			id := e.GetStated().GetId()
			if !slices.ContainsFunc(file.Entries, func(of *eventv1.DirectoryUpdated) bool { return of.GetKind() == kind && of.GetId() == id }) {
				missing = append(missing, &eventv1.DirectoryUpdated{Kind: kind, Id: id, ValidFrom: file.ValidFrom, Removed: true})
			}
		}
	}
	return missing, nil
}

// listDirectory gives all entries of a kind, of all kinds where it is empty, that hold at a moment; now where it is nil.
func listDirectory(cmd *cobra.Command, service directoryv1.DirectoryServiceClient, kind string, at *timestamppb.Timestamp) ([]*directoryv1.Entry, error) {
	var all []*directoryv1.Entry
	req := &directoryv1.ListRequest{Kind: kind, At: at, PageSize: 1000}
	for {
		page, err := service.List(cmd.Context(), req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetEntries()...)
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return all, nil
		}
	}
}

// inFile tells where in the file that is which the server finds wrong.
func inFile(err error, file *directory.File) error {
	violations := rpc.Violations(err)
	if len(violations) == 0 {
		return err
	}
	var errs []error
	for _, field := range slices.Sorted(maps.Keys(violations)) {
		entry, within, _ := strings.Cut(field, "]")
		var n int
		if _, failed := fmt.Sscanf(entry, "entries[%d", &n); failed != nil || n >= len(file.Entries) {
			errs = append(errs, fmt.Errorf("%s: %s", field, violations[field]))
			continue
		}
		errs = append(errs, file.Wrong(n, strings.TrimPrefix(within, "."), violations[field]))
	}
	return errors.Join(errs...)
}

// writeOutcomes tells what changes, and how many do not.
func writeOutcomes(out io.Writer, entries []*eventv1.DirectoryUpdated, outcomes []directoryv1.Outcome, dryRun bool) error {
	words := map[directoryv1.Outcome]string{
		directoryv1.Outcome_OUTCOME_ADDED: "added", directoryv1.Outcome_OUTCOME_CHANGED: "changed", directoryv1.Outcome_OUTCOME_REMOVED: "removed",
	}
	count := map[directoryv1.Outcome]int{}
	err := table(out, func(w io.Writer) {
		for i, o := range outcomes {
			count[o]++
			if word := words[o]; word != "" {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", word, entries[i].GetKind(), entries[i].GetId(), directoryName(entries[i]))
			}
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d added, %d changed, %d removed, %d the same.\n", count[directoryv1.Outcome_OUTCOME_ADDED], count[directoryv1.Outcome_OUTCOME_CHANGED],
		count[directoryv1.Outcome_OUTCOME_REMOVED], count[directoryv1.Outcome_OUTCOME_SAME])
	if dryRun {
		fmt.Fprintln(out, "Nothing was written.")
	}
	return nil
}

// directoryName is the name that an entry shows; empty where it has none.
func directoryName(e *eventv1.DirectoryUpdated) string {
	for _, name := range []string{e.GetAgent().GetName(), e.GetTeam().GetName(), e.GetQueue().GetName(), e.GetHours().GetName()} {
		if name != "" {
			return name
		}
	}
	return ""
}

func directoryExportCommand() *cobra.Command {
	to := &client{}
	var asOf string
	var moments bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the entries that hold as the file that import reads",
		Long: `Write the entries that hold as the file that import reads. The file says what is so from the moment at which it is imported on, so that it can be
changed and imported again. With --moments each entry states since when it holds: a copy for another installation.`,
		Example: "  skein directory export > company.yaml\n  skein directory export --at 2026-03-01",
		Args:    cobra.NoArgs,
		RunE: call(to, directoryv1.NewDirectoryServiceClient, func(cmd *cobra.Command, service directoryv1.DirectoryServiceClient, _ []string) error {
			at, err := timeOf("at", asOf)
			if err != nil {
				return err
			}
			held, err := listDirectory(cmd, service, "", at)
			if err != nil {
				return err
			}
			entries := make([]*eventv1.DirectoryUpdated, len(held))
			for i, e := range held {
				entries[i] = e.GetStated()
			}
			return directory.WriteFile(cmd.OutOrStdout(), entries, moments)
		}),
	}
	to.flags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&asOf, "at", "", "as of a moment; now unless given")
	f.BoolVar(&moments, "moments", false, "state since when each entry holds")
	return cmd
}

func directoryListCommand() *cobra.Command {
	to := &client{}
	var kind, asOf string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the entries that hold",
		Example: "  skein directory list\n  skein directory list --kind agent --at 2026-03-09",
		Args:    cobra.NoArgs,
		RunE: call(to, directoryv1.NewDirectoryServiceClient, func(cmd *cobra.Command, service directoryv1.DirectoryServiceClient, _ []string) error {
			at, err := timeOf("at", asOf)
			if err != nil {
				return err
			}
			held, err := listDirectory(cmd, service, kind, at)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				for _, e := range held {
					if err := writeJSON(out, e); err != nil {
						return err
					}
				}
				return nil
			}
			return table(out, func(w io.Writer) {
				fmt.Fprintln(w, "KIND\tID\tNAME\tSINCE\tUNTIL")
				for _, e := range held {
					s := e.GetStated()
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.GetKind(), s.GetId(), directoryName(s), moment(s.GetValidFrom()), end(e))
				}
			})
		}),
	}
	to.flags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "", strings.Join(directory.Kinds(), ", ")+"; all unless given")
	f.StringVar(&asOf, "at", "", "as of a moment; now unless given")
	f.BoolVar(&asJSON, "json", false, "print a JSON object for each")
	return cmd
}

// end is until when an entry holds, where that is known.
func end(e *directoryv1.Entry) string {
	if e.GetValidUntil() == nil {
		return "-"
	}
	return moment(e.GetValidUntil())
}

func directoryShowCommand() *cobra.Command {
	to := &client{}
	var asOf string
	var history, asJSON bool
	cmd := &cobra.Command{
		Use:     "show KIND ID",
		Short:   "Show an entry, or everything that was stated of it",
		Example: "  skein directory show agent anna.weiss\n  skein directory show queue sales --history",
		Args:    cobra.ExactArgs(2),
		RunE: call(to, directoryv1.NewDirectoryServiceClient, func(cmd *cobra.Command, service directoryv1.DirectoryServiceClient, args []string) error {
			at, err := timeOf("at", asOf)
			if err != nil {
				return err
			}
			var entries []*directoryv1.Entry
			if history {
				resp, err := service.History(cmd.Context(), &directoryv1.HistoryRequest{Kind: args[0], Id: args[1]})
				if err != nil {
					return err
				}
				entries = resp.GetEntries()
			} else {
				resp, err := service.Get(cmd.Context(), &directoryv1.GetRequest{Kind: args[0], Id: args[1], At: at})
				if err != nil {
					return err
				}
				entries = append(entries, resp.GetEntry())
			}
			return showEntries(cmd.OutOrStdout(), entries, asJSON)
		}),
	}
	to.flags(cmd.Flags())
	f := cmd.Flags()
	f.BoolVar(&history, "history", false, "everything that was stated of it, what holds from the latest moment on first")
	f.StringVar(&asOf, "at", "", "as of a moment; now unless given")
	f.BoolVar(&asJSON, "json", false, "print a JSON object for each")
	cmd.MarkFlagsMutuallyExclusive("history", "at")
	return cmd
}

func showEntries(out io.Writer, entries []*directoryv1.Entry, asJSON bool) error {
	for _, e := range entries {
		if asJSON {
			if err := writeJSON(out, e); err != nil {
				return err
			}
			continue
		}
		until := ""
		switch {
		case e.GetValidUntil() == nil:
		case e.GetValidUntil().AsTime().Equal(e.GetStated().GetValidFrom().AsTime()):
			until = ", replaced since"
		default:
			until = " until " + end(e)
		}
		fmt.Fprintf(out, "# since %s%s, stated by %s at %s\n", moment(e.GetStated().GetValidFrom()), until, e.GetActor().GetId(), e.GetStatedAt().AsTime().Format(time.RFC3339))
		if err := directory.WriteFile(out, []*eventv1.DirectoryUpdated{e.GetStated()}, false); err != nil {
			return err
		}
	}
	return nil
}
