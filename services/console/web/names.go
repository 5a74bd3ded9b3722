package web

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/view"
)

// namesAge is for how long the names of a tenant are taken as they were.
const namesAge = 30 * time.Second

// directories keeps the names of tenants for a moment. It is safe for concurrent use.
type directories struct {
	mu    sync.Mutex
	known map[string]directory // by tenant
}

type directory struct {
	names view.Names
	until time.Time
}

// Names are those of the agents, queues and teams of the person's tenant. Where the directory cannot be read, everybody goes by an id: a page is of use
// without names.
func (c *Call) Names() view.Names {
	d := c.site.directories
	d.mu.Lock()
	was := d.known[c.User.Tenant]
	d.mu.Unlock()
	if time.Now().Before(was.until) {
		return was.names
	}
	var agents, queues, teams []*eventv1.DirectoryUpdated
	g, ctx := errgroup.WithContext(c.ctx)
	for kind, into := range map[string]*[]*eventv1.DirectoryUpdated{"agent": &agents, "queue": &queues, "team": &teams} {
		g.Go(func() (err error) {
			*into, err = c.site.Directory(ctx, kind)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return was.names
	}
	names := view.NewNames(agents, queues, teams)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[c.User.Tenant] = directory{names, time.Now().Add(namesAge)}
	return names
}

// Directory is all that the directory states of a kind now; nothing, where this server has none.
func (s *Site) Directory(ctx context.Context, kind string) (all []*eventv1.DirectoryUpdated, err error) {
	const most = 1000
	api := directoryv1.NewDirectoryServiceClient(s.api)
	for token := ""; ; {
		page, err := api.List(ctx, &directoryv1.ListRequest{Kind: kind, PageSize: most, PageToken: token})
		if Unserved(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetEntries() {
			all = append(all, e.GetStated())
		}
		if token = page.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}
