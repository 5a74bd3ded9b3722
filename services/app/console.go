package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/services/console"
)

// ConsoleConfig says how the console is served.
type ConsoleConfig struct {
	API  string `koanf:"api" help:"address of the gRPC API that the console asks, HOST:PORT; this process unless set"`
	Home string `koanf:"home" help:"page that the console shows first, such as /console/work"`
}

// console verifies what is said about the console.
func (v *verifier) console(roles []string, c *Config) {
	if !slices.Contains(roles, roleConsole) {
		return
	}
	if c.Console.API != "" {
		v.address("console.api", c.Console.API)
	} else if !slices.Contains(roles, roleTimeline) || !slices.Contains(roles, roleCustomers) || !slices.Contains(roles, roleConversations) {
		v.add("console.api", "the console asks roles that this process has not: name an address at which all of the gRPC API is answered")
	}
	v.check(c.Console.Home == "" || strings.HasPrefix(c.Console.Home, "/console/"), "console.home", "must be a page of the console: /console/...")
}

// openConsole serves the pages. They ask the API, of this process or another one, and nothing else.
func (a *App) openConsole(context.Context) error {
	cfg := console.Config{Home: a.cfg.Console.Home, Registerer: a.registry, Logger: a.logger}
	for _, purpose := range []string{"console signature", "console seal"} {
		secret, err := a.keyring.Secret(purpose)
		if err != nil {
			return err
		}
		cfg.Secret = append(cfg.Secret, secret...)
	}
	connect := a.grpc.Local
	if a.cfg.Console.API != "" {
		connect = func() (*grpc.ClientConn, error) { return rpc.Dial(a.cfg.Console.API, "", nil) }
	}
	conn, err := connect()
	if err != nil {
		return err
	}
	cfg.API = conn
	pages, err := console.New(cfg)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	a.console = &served{pages: pages, api: conn}
	return pages.Mount(a.mux)
}

// served is the console of this process, and by what it asks.
type served struct {
	pages *console.Console
	api   *grpc.ClientConn
}

// closeConsole ends the streams of the pages before the servers wait for them.
func (a *App) closeConsole(context.Context) error {
	a.console.pages.Close()
	return a.console.api.Close()
}
