// Package operation are the pages of whoever keeps the installation running: whether everything is caught up, rebuilds, dead letters, channels and
// webhooks, and the configuration in force.
package operation

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

const (
	// beat is how often what is shown live is asked for.
	beat = 2 * time.Second
	// slowBeat is how often that is asked for of which the answer costs more, and changes less.
	slowBeat = 5 * time.Second
)

// Pages are the pages of the operation. They are safe for concurrent use.
type Pages struct {
	site     *web.Site
	admin    adminv1.AdminServiceClient
	letters  adminv1.DeadLetterServiceClient
	webhooks adminv1.WebhookServiceClient
	models   *pulse[models]
	around   *pulse[surroundings]
}

// New makes them.
func New(site *web.Site) *Pages {
	p := &Pages{
		site: site, admin: adminv1.NewAdminServiceClient(site.API()), letters: adminv1.NewDeadLetterServiceClient(site.API()),
		webhooks: adminv1.NewWebhookServiceClient(site.API()),
	}
	paces := newPaces()
	p.models = newPulse(beat, func(ctx context.Context) models { return askModels(ctx, p.admin, paces) })
	p.around = newPulse(slowBeat, func(ctx context.Context) surroundings {
		return askSurroundings(ctx, p.admin, p.letters, p.webhooks, analyticsv1.NewAnalyticsServiceClient(site.API()))
	})
	return p
}

// Mount serves them.
func (p *Pages) Mount(mux *http.ServeMux) {
	at := view.Operation.Path()
	page := func(path string, answer func(*web.Call) error) {
		mux.Handle("GET "+at+path, p.site.Handle(func(c *web.Call) error {
			if !c.User.Admin {
				return c.Show(view.Page{Title: lang.T(c.Context(), "Operation"), Section: view.Operation}, noRight(c.User))
			}
			return answer(c)
		}))
	}
	handle := func(pattern string, answer func(*web.Call) error) { mux.Handle(pattern, p.site.Handle(answer)) }
	page("", p.overview)
	handle("GET "+at+"/stream", p.live(p.overviewParts))
	page("/rebuild", p.rebuilds)
	handle("GET "+at+"/rebuild/stream", p.live(p.rebuildParts))
	handle("POST "+at+"/rebuild", p.rebuild)
	page("/dead-letters", p.deadLetters)
	page("/dead-letters/{partition}/{offset}", p.deadLetter)
	handle("GET "+at+"/dead-letters/older", p.olderLetters)
	handle("GET "+at+"/dead-letters/{partition}/{offset}/raw", p.rawLetter)
	handle("POST "+at+"/dead-letters/redrive", p.redrive)
	page("/channels", p.channels)
	handle("GET "+at+"/channels/stream", p.live(p.channelParts))
	handle("POST "+at+"/webhooks", p.switchWebhook)
	page("/configuration", p.configuration)
}

// tab is a page of the operation.
type tab struct{ path, title string }

func tabs(ctx context.Context) []tab {
	return []tab{
		{view.At(view.Operation), lang.T(ctx, "Overview")},
		{view.At(view.Operation, "rebuild"), lang.T(ctx, "Rebuild")},
		{view.At(view.Operation, "dead-letters"), lang.T(ctx, "Dead letters")},
		{view.At(view.Operation, "channels"), lang.T(ctx, "Channels")},
		{view.At(view.Operation, "configuration"), lang.T(ctx, "Configuration")},
	}
}

// show answers with a page of the operation.
func show(c *web.Call, path, title string, body templ.Component) error {
	return c.Show(view.Page{Title: title, Section: view.Operation}, frame(path, title, body))
}

// part is what a page replaces by itself: the element with the id.
type part struct {
	id   string
	body templ.Component
}

// live answers with a stream of those parts of a page that have changed, for as long as the page is seen.
func (p *Pages) live(parts func(context.Context, *web.Call) ([]part, error)) func(*web.Call) error {
	return func(c *web.Call) error {
		if !c.User.Admin { // what was asked for others is not told; the API says why
			_, err := p.admin.ListSlices(c.Context(), &adminv1.ListSlicesRequest{})
			return err
		}
		return c.Stream(func(ctx context.Context, _ string, send func(web.News) error) error {
			tick := time.NewTicker(beat)
			defer tick.Stop()
			for shown := map[string]string{}; ; {
				all, err := parts(ctx, c)
				if err != nil {
					return err
				}
				changed, err := changes(ctx, shown, all)
				if err != nil {
					return err
				}
				if len(changed) > 0 {
					if err := send(web.News{Parts: changed}); err != nil {
						return err
					}
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
}

// changes draws parts, and gives those that look otherwise than before.
func changes(ctx context.Context, shown map[string]string, all []part) (changed []templ.Component, err error) {
	for _, part := range all {
		var b bytes.Buffer
		if err := part.body.Render(ctx, &b); err != nil {
			return nil, err
		}
		if html := b.String(); shown[part.id] != html {
			shown[part.id] = html
			changed = append(changed, templ.Raw(html))
		}
	}
	return changed, nil
}

func (p *Pages) overview(c *web.Call) error {
	o, err := p.look(c.Context())
	if err != nil {
		return err
	}
	return show(c, view.At(view.Operation), lang.T(c.Context(), "Operation"), overview(o))
}

// state is all that the overview shows.
type state struct {
	models
	surroundings
}

// look tells how everything is.
func (p *Pages) look(ctx context.Context) (state, error) {
	var o state
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		o.models, err = p.models.now(ctx)
		return err
	})
	g.Go(func() (err error) {
		o.surroundings, err = p.around.now(ctx)
		return err
	})
	err := g.Wait()
	return o, err
}

func (p *Pages) overviewParts(ctx context.Context, _ *web.Call) ([]part, error) {
	o, err := p.look(ctx)
	if err != nil {
		return nil, err
	}
	parts := []part{{"verdict", verdict(problems(ctx, o))}, {"tiles", tiles(o)}, {"topics", topics(o)}, {"clickhouse", clickhouse(o)}}
	for _, s := range o.slices {
		parts = append(parts, part{line(s), sliceLine(s)}, part{inside(s), partitions(s)})
	}
	return parts, nil
}

// line and inside are the ids of what is shown of a slice, and of its partitions.
func line(s *adminv1.Slice) string   { return "slice-" + s.GetName() }
func inside(s *adminv1.Slice) string { return "partitions-" + s.GetName() }
