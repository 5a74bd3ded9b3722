package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skein-cx/skein/services/app"
)

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Look at or drop the read models of a server that is not running",
	}
	hash := &cobra.Command{
		Use:   "hash",
		Short: "Tell the state hash of each read model",
		Long: `Tell the state hash of each generation of each read model: SHA-256 over all keys and values in order. Two stores that
were folded from the same log have the same hashes, whatever happened on the way.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			hashes, err := app.StateHashes(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			for _, h := range hashes {
				fmt.Fprintf(cmd.OutOrStdout(), "%s/%d\t%s\n", h.Namespace.Slice, h.Namespace.Generation, h.Digest)
			}
			return nil
		},
	}
	drop := &cobra.Command{
		Use:   "drop",
		Short: "Drop all read models; the next start builds them again from the log",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			dropped, err := app.DropStore(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			for _, ns := range dropped {
				fmt.Fprintf(cmd.OutOrStdout(), "dropped %s/%d\n", ns.Slice, ns.Generation)
			}
			return nil
		},
	}
	for _, c := range []*cobra.Command{hash, drop} {
		cobra.CheckErr(serverFlags(c.Flags()))
		cmd.AddCommand(c)
	}
	return cmd
}
