package operation

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// asked is the rebuild that the person asked for on the page, and the generation that served then.
type asked struct {
	name string
	of   uint32
}

func askedFor(c *web.Call) asked {
	of, err := strconv.ParseUint(c.Form("of"), 10, 32)
	if err != nil {
		return asked{}
	}
	return asked{c.Form("slice"), uint32(of)}
}

func (a asked) on(path string) string {
	if a.name == "" {
		return path
	}
	return view.With(path, "slice", a.name, "of", strconv.FormatUint(uint64(a.of), 10))
}

func (p *Pages) rebuilds(c *web.Call) error {
	m, err := p.models.now(c.Context())
	if err != nil {
		return err
	}
	return show(c, view.At(view.Operation, "rebuild"), lang.T(c.Context(), "Rebuild"), rebuilds(m, askedFor(c)))
}

// inOrder are the builds with those first that the person has come for.
func inOrder(m models, a asked) []build {
	rank := func(b build) int {
		switch {
		case b.name == a.name:
			return 0
		case b.building != 0:
			return 1
		}
		return 2
	}
	all := m.builds()
	slices.SortStableFunc(all, func(a, b build) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

func (p *Pages) rebuildParts(ctx context.Context, c *web.Call) ([]part, error) {
	m, err := p.models.now(ctx)
	if err != nil {
		return nil, err
	}
	a := askedFor(c)
	var parts []part
	for _, b := range m.builds() {
		parts = append(parts, part{progressID(b), progress(b, m.paces[b.name], a)})
	}
	return parts, nil
}

func progressID(b build) string { return "progress-" + b.name }

// rebuild asks for a rebuild, and goes on once it is under way: how far it is tells whoever lists the read models.
func (p *Pages) rebuild(c *web.Call) error {
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel() // which does not end the rebuild
	name := c.Form("slice")
	stream, err := p.admin.Rebuild(ctx, &adminv1.RebuildRequest{Slice: name})
	if err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	p.models.forget()
	of, err := strconv.ParseUint(c.Form("of"), 10, 32)
	if err != nil {
		return c.GoTo(view.At(view.Operation, "rebuild"))
	}
	return c.GoTo(asked{name, uint32(of)}.on(view.At(view.Operation, "rebuild")))
}
