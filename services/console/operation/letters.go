package operation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/skein-cx/skein/pkg/event"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

const (
	// onPage is how many letters are fetched at once.
	onPage = 50
	// atOnce is how many letters are named in a call, and asked for where all are meant.
	atOnce = 500
	// told is up to how many letters it is said of each that it was redriven; beyond, of those that were not.
	told = 500
)

// choice is which letters are shown. Its fields are those of the form.
type choice struct {
	tenant, slice, provider, topic string
	reason                         eventv1.DeadReason
	// all shows what was redriven, too.
	all bool
}

func chosen(c *web.Call) choice {
	return choice{
		tenant: c.Form("tenant"), slice: c.Form("slice"), provider: c.Form("provider"), topic: c.Form("topic"),
		reason: eventv1.DeadReason(eventv1.DeadReason_value["DEAD_REASON_"+strings.ToUpper(c.Form("reason"))]), all: c.Form("state") == "all",
	}
}

func (ch choice) filters() bool {
	return ch.tenant != "" || ch.slice != "" || ch.provider != "" || ch.topic != "" || ch.reason != 0
}

func (ch choice) request(page string, size int32) *adminv1.ListDeadLettersRequest {
	req := &adminv1.ListDeadLettersRequest{
		Tenant: ch.tenant, Slice: ch.slice, Provider: ch.provider, Topic: ch.topic, Open: !ch.all, PageSize: size, PageToken: page,
	}
	if ch.reason != 0 {
		req.Reasons = []eventv1.DeadReason{ch.reason}
	}
	return req
}

// on is an address with the choice.
func (ch choice) on(path string, more ...string) string {
	return view.With(path, append([]string{
		"tenant", ch.tenant, "slice", ch.slice, "provider", ch.provider, "topic", ch.topic, "reason", ch.reasonValue(), "state", ch.state(),
	}, more...)...)
}

func (ch choice) state() string {
	if ch.all {
		return "all"
	}
	return ""
}

func (ch choice) reasonValue() string { return reasonValue(ch.reason) }

func reasonValue(r eventv1.DeadReason) string {
	if r == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(r.String(), "DEAD_REASON_"))
}

func (p *Pages) deadLetters(c *web.Call) error {
	ch := chosen(c)
	page, err := p.letters.ListDeadLetters(c.Context(), ch.request("", onPage))
	if err != nil {
		return err
	}
	around, err := p.around.now(c.Context())
	if err != nil {
		return err
	}
	return show(c, view.At(view.Operation, "dead-letters"), lang.T(c.Context(), "Dead letters"), letters(ch, page, around.topics))
}

// olderLetters are those behind the ones that the page shows.
func (p *Pages) olderLetters(c *web.Call) error {
	ch := chosen(c)
	page, err := p.letters.ListDeadLetters(c.Context(), ch.request(c.Form("page"), onPage))
	if err != nil {
		return err
	}
	return c.Parts(letterRows(ch, page))
}

// name is how a letter is named: by its partition and offset.
func name(at *eventv1.Position) string {
	return fmt.Sprintf("%d/%d", at.GetPartition(), at.GetOffset())
}

// letterAt is the address of a letter.
func letterAt(at *eventv1.Position) string {
	return view.At(view.Operation, "dead-letters", strconv.Itoa(int(at.GetPartition())), strconv.FormatInt(at.GetOffset(), 10))
}

// named is the position of the letter with a name.
func named(text string) (*eventv1.Position, error) {
	partition, offset, _ := strings.Cut(text, "/")
	p, err := strconv.ParseInt(partition, 10, 32)
	if err != nil {
		return nil, web.Missing(text)
	}
	o, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return nil, web.Missing(text)
	}
	return &eventv1.Position{Topic: event.TopicDead, Partition: int32(p), Offset: o}, nil
}

func (p *Pages) letter(c *web.Call) (*adminv1.GetDeadLetterResponse, error) {
	at, err := named(c.R.PathValue("partition") + "/" + c.R.PathValue("offset"))
	if err != nil {
		return nil, err
	}
	return p.letters.GetDeadLetter(c.Context(), &adminv1.GetDeadLetterRequest{Position: at})
}

func (p *Pages) deadLetter(c *web.Call) error {
	d, err := p.letter(c)
	if err != nil {
		return err
	}
	title := lang.T(c.Context(), "Dead letter %s", name(d.GetEntry().GetPosition()))
	return show(c, view.At(view.Operation, "dead-letters"), title, letter(d))
}

// rawLetter are the bytes of a letter as a file.
func (p *Pages) rawLetter(c *web.Call) error {
	d, err := p.letter(c)
	if err != nil {
		return err
	}
	file := "letter-" + strings.ReplaceAll(name(d.GetEntry().GetPosition()), "/", "-") + ".bin"
	c.W.Header().Set("Content-Type", "application/octet-stream")
	c.W.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file}))
	_, _ = c.W.Write(d.GetEntry().GetLetter().GetRaw()) // the person may be gone
	return nil
}

// redrive takes letters in again: those that are named, or all open ones of a choice. The page grows as it goes on.
func (p *Pages) redrive(c *web.Call) error {
	if err := c.R.ParseForm(); err != nil {
		return web.Bad(lang.T(c.Context(), "The form could not be read."))
	}
	ch := chosen(c)
	var positions []*eventv1.Position
	for _, text := range c.R.PostForm["letter"] {
		at, err := named(text)
		if err != nil {
			return err
		}
		positions = append(positions, at)
	}
	if c.Form("every") != "" {
		var err error
		if positions, err = p.everyLetter(c.Context(), ch); err != nil {
			return err
		}
	}
	if len(positions) == 0 {
		return web.Bad(lang.T(c.Context(), "No letter is chosen: mark those that are to be taken in again."))
	}
	// The first call is made before the page begins, so that a refusal is one.
	force := c.Form("force") != ""
	batches := slices.Collect(slices.Chunk(positions, atOnce))
	first, err := p.takeIn(c.Context(), batches[0], force)
	if err != nil {
		return err
	}
	p.around.forget()
	c.W.Header().Set("X-Accel-Buffering", "no") // a proxy before this must not wait for the end
	return show(c, view.At(view.Operation, "dead-letters"), lang.T(c.Context(), "Redrive"), redriven(len(positions), ch, templ.ComponentFunc(
		func(ctx context.Context, w io.Writer) error {
			count := outcomes{of: len(positions)}
			next := first
			for i := range batches {
				if i > 0 {
					if next, err = p.takeIn(ctx, batches[i], force); err != nil {
						return brokenOff(ctx, w, count, err)
					}
				}
				if err := next.each(func(m *adminv1.RedriveDeadLettersResponse) error { return count.tell(ctx, w, m) }); err != nil {
					return brokenOff(ctx, w, count, err)
				}
			}
			return outcome(count, "").Render(ctx, w)
		})))
}

// brokenOff ends a page of which a part could not be done.
func brokenOff(ctx context.Context, w io.Writer, count outcomes, err error) error {
	return outcome(count, web.Explain(ctx, err)).Render(ctx, w)
}

// outcomes count what became of letters.
type outcomes struct{ of, done, failed int }

// tell tells what became of a letter.
func (o *outcomes) tell(ctx context.Context, w io.Writer, m *adminv1.RedriveDeadLettersResponse) error {
	if m.GetProblem() != "" {
		o.failed++
	} else {
		o.done++
	}
	if m.GetProblem() == "" && o.of > told {
		return nil
	}
	return templ.Flush().Render(templ.WithChildren(ctx, redrivenRow(m)), w)
}

// everyLetter are all open ones of a choice, the oldest first.
func (p *Pages) everyLetter(ctx context.Context, ch choice) (all []*eventv1.Position, err error) {
	ch.all = false
	for token := ""; ; {
		page, err := p.letters.ListDeadLetters(ctx, ch.request(token, atOnce))
		if err != nil {
			return nil, err
		}
		for _, l := range page.GetLetters() {
			all = append(all, l.GetPosition())
		}
		if token = page.GetNextPageToken(); token == "" {
			slices.Reverse(all)
			return all, nil
		}
	}
}

// taking is a call that takes letters in, of which the first answer is there.
type taking struct {
	first  *adminv1.RedriveDeadLettersResponse
	stream interface {
		Recv() (*adminv1.RedriveDeadLettersResponse, error)
	}
}

func (p *Pages) takeIn(ctx context.Context, letters []*eventv1.Position, force bool) (t taking, err error) {
	stream, err := p.letters.RedriveDeadLetters(ctx, &adminv1.RedriveDeadLettersRequest{Positions: letters, Force: force})
	if err != nil {
		return t, err
	}
	t.stream = stream
	t.first, err = stream.Recv()
	return t, err
}

func (t taking) each(tell func(*adminv1.RedriveDeadLettersResponse) error) error {
	for m := t.first; ; {
		if err := tell(m); err != nil {
			return err
		}
		var err error
		if m, err = t.stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
