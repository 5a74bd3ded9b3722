// Package console is the page that people look at: who a customer is, what is to be done, what goes on now, what the numbers say, and how the
// installation is. It draws what the API answers, with the rights of whoever looks, and changes nothing but by the API.
//
// A page comes whole from the server; what happens afterwards comes as a stream of parts, which the page's script (assets/console.js) puts in
// their places. Each section is a package of its own; package web is what they stand on, and package view what they draw with.
package console

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/services/console/analytics"
	"github.com/skein-cx/skein/services/console/assets"
	"github.com/skein-cx/skein/services/console/content"
	"github.com/skein-cx/skein/services/console/customers"
	"github.com/skein-cx/skein/services/console/operation"
	"github.com/skein-cx/skein/services/console/supervision"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
	"github.com/skein-cx/skein/services/console/work"
)

// Config is what a console is made of.
type Config struct {
	// API answers what the pages ask.
	API grpc.ClientConnInterface
	// Secret seals the sessions: processes with the same one, of 64 bytes, know each other's.
	Secret []byte
	// Home is the page that is shown first; empty for the customers.
	Home       string
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Console is what is served.
type Console struct {
	cfg   Config
	files *assets.Files
	site  *web.Site
}

// New makes a console.
func New(cfg Config) (*Console, error) {
	files, err := assets.New(web.Prefix + "assets/")
	if err != nil {
		return nil, err
	}
	if cfg.Home == "" {
		cfg.Home = view.Customers.Path()
	}
	site, err := web.NewSite(web.Config{API: cfg.API, Secret: cfg.Secret, Asset: files.Path, Registerer: cfg.Registerer, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &Console{cfg: cfg, files: files, site: site}, nil
}

// Close ends the streams of news, which would else keep a server from stopping. It is called once.
func (c *Console) Close() { c.site.Close() }

// Mount serves the console, and leads there whoever asks for nothing in particular.
func (c *Console) Mount(mux *http.ServeMux) error {
	own, site := http.NewServeMux(), c.site
	own.Handle("GET "+web.Prefix+"assets/", c.files)
	own.Handle("GET "+web.Prefix+"{$}", http.RedirectHandler(c.cfg.Home, http.StatusSeeOther))
	own.Handle("GET /{$}", http.RedirectHandler(web.Prefix, http.StatusSeeOther))
	site.MountSessions(own)
	content.New(site).Mount(own)
	customers.New(site).Mount(own)
	work.New(site).Mount(own)
	supervision.New(site).Mount(own)
	numbers, err := analytics.New(site)
	if err != nil {
		return err
	}
	numbers.Mount(own)
	operation.New(site).Mount(own)
	own.Handle("GET "+web.Prefix, site.Nowhere())

	pages, err := site.Guard(own)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	mux.Handle(web.Prefix, pages)
	mux.Handle("GET /{$}", pages)
	return nil
}
