package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/services/app"
)

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "skein",
		Short: "The event-sourced backbone for customer conversations on every channel",
		Long: `Skein takes in what happens with customers on every channel, keeps it in a log for ever, and answers
"who is this, what happened, up to this second".

Start everything on this machine:     skein up --demo
Hand in an event, read a timeline:    skein publish -    skein timeline anna@example.com
Every setting, and what is in force:  skein config verify`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(upCommand(), runCommand(), timelineCommand(), customerCommand(), agentCommand(), boardCommand(), alertsCommand(), forecastCommand(), reportCommand(), directoryCommand(), tailCommand(), publishCommand(), importCommand(), sendCommand(), outboundCommand(), channelsCommand(), channelCommand(), lagCommand(), topicsCommand(), rebuildCommand(), deadCommand(), webhooksCommand(),
		configCommand(), storeCommand(), clickhouseCommand(), versionCommand())
	return cmd
}

// serverFlags are the settings that are worth a flag; all others are in the file and the environment.
func serverFlags(flags *pflag.FlagSet) error {
	d := app.Default()
	flags.StringP("config", "c", "", "configuration file (YAML)")
	flags.String("data", d.Data, "directory of everything that is kept")
	flags.StringSlice("kafka", nil, "addresses of Kafka brokers instead of the embedded log")
	flags.String("store", "", "PostgreSQL database instead of the embedded store (SKEIN_STORE_DSN keeps its password from others on this machine)")
	flags.String("clickhouse", "", "DSN of a ClickHouse server instead of the embedded one (SKEIN_ANALYTICS_CLICKHOUSE keeps its password from others on this machine)")
	flags.String("grpc", d.GRPC.Addr, "address of the gRPC server")
	flags.String("http", d.HTTP.Addr, "address of the HTTP server")
	flags.String("smtp", d.Email.SMTP, "address of the SMTP listener; empty for none")
	flags.String("lmtp", d.Email.LMTP, "address of the LMTP listener; empty for none")
	flags.String("log-level", d.Logging.Level, "debug, info, warn or error")
	flags.String("log-format", d.Logging.Format, "text or json")
	for flag, key := range map[string]string{
		"data": "data", "kafka": "log.kafka", "store": "store.dsn", "clickhouse": "analytics.clickhouse", "grpc": "grpc.addr", "http": "http.addr",
		"smtp": "email.smtp", "lmtp": "email.lmtp", "log-level": "logging.level", "log-format": "logging.format",
	} {
		if err := app.BindFlag(flags, flag, key); err != nil {
			return err
		}
	}
	return nil
}

// load reads the configuration of a server command.
func load(cmd *cobra.Command) (app.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return app.Config{}, fmt.Errorf("config: %w", err)
	}
	return app.Load(path, cmd.Flags())
}

// client is how a client command reaches a server.
type client struct {
	server, token string
}

func (c *client) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.server, "server", env("SKEIN_SERVER", app.Default().GRPC.Addr), "address of the gRPC server (SKEIN_SERVER)")
	flags.StringVar(&c.token, "token", "", "API token (SKEIN_TOKEN)")
}

func (c *client) dial() (*grpc.ClientConn, error) {
	if c.token == "" {
		c.token = os.Getenv("SKEIN_TOKEN")
	}
	return rpc.Dial(c.server, c.token, nil)
}

// explain makes the error of a call readable, and says what to do where nobody answers.
func (c *client) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, again := rpc.RetryAfter(err); again {
		return fmt.Errorf("%s\nis a server running at %s? start one with: skein up", rpc.Explain(err), c.server)
	}
	return fmt.Errorf("%s", rpc.Explain(err))
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// version is set by the linker; a plain "go build" takes what the toolchain knows.
var version string

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell the version of this program",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			v, goVersion := programVersion()
			fmt.Fprintf(cmd.OutOrStdout(), "skein %s (%s)\n", v, goVersion)
		},
	}
}

// programVersion is the version of this program, and of Go.
func programVersion() (skein, golang string) {
	skein, golang = version, "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		golang = info.GoVersion
		if skein == "" {
			skein = info.Main.Version
		}
	}
	return skein, golang
}
