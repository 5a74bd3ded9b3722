package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/services/app"
)

func clickhouseCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "clickhouse", Short: "The ClickHouse engine that skein up runs beside itself"}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "fetch",
			Short: "Get the engine's library, once for this user",
			Long: fmt.Sprintf(`Get the library of the ClickHouse engine (%s) through npm into the user's cache. skein up does so by itself where npm is
there, and starts the engine as soon as the library is. A file elsewhere is named by %s.`, chdb.Version, chdb.LibraryVariable),
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				shown := -1
				path, err := chdb.Fetch(cmd.Context(), "", func(done, total int64) {
					if percent := int(done * 100 / max(total, 1)); percent/5 != shown {
						shown = percent / 5
						fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d MB\n", done>>20, total>>20)
					}
				})
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), path)
				return nil
			},
		},
		clickhouseAccessCommand(),
		&cobra.Command{
			Use: "serve", Short: "Serve a directory; what skein up starts", Hidden: true, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return chdb.Child(cmd.Context(), os.Stdin, os.Stdout, os.Stderr)
			},
		})
	return cmd
}

func clickhouseAccessCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access TENANT...",
		Short: "Print the SQL of roles, row policies and quotas for a ClickHouse server",
		Long: `Print the SQL by which an administrator of a ClickHouse server makes a role for Skein itself, one for readers of all tenants, and
for each tenant one that sees its rows and no others. The embedded engine has no access control: it listens to this machine only.`,
		Example: "  skein clickhouse access acme globex | clickhouse-client -h clickhouse.internal -u admin --multiquery",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, tenants []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			sql, err := app.ClickHouseAccess(cfg, tenants)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), sql)
			return err
		},
	}
	cobra.CheckErr(serverFlags(cmd.Flags()))
	return cmd
}
