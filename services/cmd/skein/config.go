package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skein-cx/skein/services/app"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	cmd.AddCommand(configVerifyCommand())
	return cmd
}

func configVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [ROLE...]",
		Short: "Show every setting that is in force, what it means, and what is wrong",
		Long: fmt.Sprintf(`Show every setting that is in force, what it means, and what is wrong, without starting anything.

Settings come from the defaults, then the file (--config), then the environment (SKEIN_GRPC_ADDR for grpc.addr), then
flags. Roles are those of one process; all unless named: %s.`, strings.Join(app.RoleNames(), ", ")),
		Example:   "  skein config verify -c skein.yaml\n  skein config verify -c skein.yaml ingest email",
		ValidArgs: app.RoleNames(),
		RunE: func(cmd *cobra.Command, roles []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if len(roles) == 0 {
				roles = app.RoleNames()
			}
			for _, s := range cfg.Settings() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-26s %-28s # %s\n", s.Key, s.Value, s.Help)
			}
			if problems := cfg.Verify(roles); len(problems) > 0 {
				return &app.ConfigError{Problems: problems}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nThis works for one process of: %s\n", strings.Join(roles, ", "))
			return nil
		},
	}
	cobra.CheckErr(serverFlags(cmd.Flags()))
	return cmd
}
