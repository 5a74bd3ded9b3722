package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/email"
)

const (
	batch      = 200     // mails whose sizes are asked for at once
	chunkBytes = 4 << 20 // of mails that are fetched by one command
	headBytes  = 1 << 20 // of a mail that is too long
	deliveries = 8       // at once
	visit      = 2_000   // mails of one folder before the next gets its turn
	tries      = 3       // before a mail that the server does not give is passed over
	overhead   = 64      // bytes that a mail counts beside its own
	dialTime   = 30 * time.Second
)

// run keeps an account connected until ctx ends.
func (a *account) run(ctx context.Context) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = a.p.cfg.Backoff.First, a.p.cfg.Backoff.Most
	for {
		s := &session{account: a, changed: make(chan struct{}, 1), at: map[string]*position{}}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		err = fmt.Errorf("email/imap: %w", err)
		a.report(err)
		if s.moved {
			wait.Reset()
		}
		pause := wait.NextBackOff()
		a.log.Warn("the mail server cannot be read: another try follows", "error", err, "after", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// report sets the status; one that goes on keeps its time.
func (a *account) report(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (a.status.Err == nil) != (err == nil) || errors.Is(a.status.Err, errNotYet) {
		a.status.Since = time.Now()
	}
	a.status.Err = err
}

// session is one connection of an account. One goroutine uses it.
type session struct {
	*account
	conn     *conn
	client   *imapclient.Client
	changed  chan struct{} // a signal that the folder has other mails than before
	selected string
	at       map[string]*position
	moved    bool // a cursor was moved
}

// position is the cursor of a folder as this session knows it.
type position struct {
	stored string
	place  place
}

type trialKey struct {
	folder string
	place
}

// found is a folder as the server has it.
type found struct {
	Folder
	sent bool
}

// run works until the connection breaks or ctx ends; it always gives an error.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.client.Close() //nolint:errcheck // nothing was written that could be lost
	context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	s.p.metrics.connections.Inc()
	for {
		folders, wrong := s.folders()
		if s.conn.broken() || len(folders) == 0 {
			return cmpErr(wrong, errors.New("the account has no such folder"))
		}
		more, visits := false, folders
		if len(folders) > 1 { // what came meanwhile into the first, before it is waited for
			visits = append(slices.Clip(folders), folders[0])
		}
		for _, f := range visits {
			again, err := s.pull(ctx, f)
			more = more || again
			var refused *imap.Error
			if errors.As(err, &refused) && !s.conn.broken() { // this folder only
				wrong = errors.Join(wrong, fmt.Errorf("folder %q: %w", f.Name, err))
			} else if err != nil {
				return fmt.Errorf("folder %q: %w", f.Name, err)
			}
		}
		if wrong != nil {
			wrong = fmt.Errorf("email/imap: %w", wrong)
		}
		s.report(wrong)
		if more {
			continue
		}
		if err := s.wait(ctx, folders, wrong == nil); err != nil {
			return err
		}
	}
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// connect dials, protects the connection and logs in.
func (s *session) connect(ctx context.Context) error {
	raw, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err // it names the address
	}
	s.conn = newConn(raw, s.p.cfg.StallTimeout)
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	defer s.conn.busy()()
	options := &imapclient.Options{TLSConfig: s.tls, UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				s.signal()
			}
		},
	}}
	switch s.TLS {
	case StartTLS:
		s.client, err = imapclient.NewStartTLS(s.conn, options)
	case Implicit:
		var protected net.Conn
		if protected, err = protect(ctx, s.conn, s.tls); err == nil {
			s.client = imapclient.New(protected, options)
		}
	default:
		s.client = imapclient.New(s.conn, options)
	}
	if err != nil {
		_ = s.conn.Close()
		return fmt.Errorf("protect the connection: %w", err)
	}
	if err = s.client.WaitGreeting(); err != nil {
		err = fmt.Errorf("greet: %w", err)
	} else if err = s.login(s.client); err != nil {
		err = fmt.Errorf("log in: %w", err)
	}
	if err != nil {
		_ = s.client.Close()
	}
	return err
}

func (s *session) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// folders finds those that are there, in the order of the configuration, each once.
func (s *session) folders() (all []found, wrong error) {
	defer s.conn.busy()()
	known := map[string]bool{}
	add := func(f Folder, sent bool) {
		if !known[f.Name] {
			known[f.Name] = true
			all = append(all, found{f, f.Sent || sent})
		}
	}
	var options *imap.ListOptions
	if caps := s.client.Caps(); caps.Has(imap.CapSpecialUse) && caps.Has(imap.CapListExtended) {
		options = &imap.ListOptions{ReturnSpecialUse: true}
	}
	for _, f := range s.Folders {
		list, err := s.client.List("", f.Name, options).Collect()
		if err != nil {
			return all, fmt.Errorf("list %q: %w", f.Name, err)
		}
		if !strings.ContainsAny(f.Name, "*%") {
			add(f, len(list) == 1 && slices.Contains(list[0].Attrs, imap.MailboxAttrSent))
			continue
		}
		slices.SortFunc(list, func(a, b *imap.ListData) int { return strings.Compare(a.Mailbox, b.Mailbox) })
		for _, l := range list {
			if !slices.ContainsFunc(l.Attrs, unwanted) {
				add(Folder{l.Mailbox, f.Sent, f.FromUID}, slices.Contains(l.Attrs, imap.MailboxAttrSent))
			}
		}
	}
	return all, wrong
}

func unwanted(attr imap.MailboxAttr) bool {
	return slices.Contains([]imap.MailboxAttr{
		imap.MailboxAttrNonExistent, imap.MailboxAttrNoSelect, imap.MailboxAttrAll, imap.MailboxAttrDrafts, imap.MailboxAttrJunk,
		imap.MailboxAttrTrash, imap.MailboxAttrFlagged, imap.MailboxAttrImportant,
	}, attr)
}

// open makes a folder the one that is read, and gives its position.
func (s *session) open(ctx context.Context, f found) (*position, error) {
	if at := s.at[f.Name]; at != nil && s.selected == f.Name {
		return at, nil
	}
	defer s.conn.busy()()
	s.selected = ""
	data, err := s.client.Select(f.Name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return nil, fmt.Errorf("examine: %w", err)
	}
	s.selected = f.Name
	at := s.at[f.Name]
	if at == nil {
		at = &position{}
		if at.stored, err = s.p.cfg.Cursors.Cursor(ctx, s.cursor(f.Name)); err != nil {
			return nil, fmt.Errorf("read the cursor: %w", err)
		}
		s.at[f.Name] = at
		if at.place = parsePlace(at.stored); at.stored == "" && f.FromUID > 0 {
			at.place = place{data.UIDValidity, f.FromUID - 1}
		}
	}
	if at.place.validity != data.UIDValidity {
		if at.stored != "" {
			s.log.Info("the folder was made anew: it is read from its beginning", "folder", f.Name)
		}
		at.place = place{validity: data.UIDValidity}
	}
	return at, nil
}

// pull hands in what is new in a folder, up to visit mails. It tells whether there is more.
func (s *session) pull(ctx context.Context, f found) (more bool, err error) {
	select { // what comes from here on is news
	case <-s.changed:
	default:
	}
	at, err := s.open(ctx, f)
	if err != nil {
		return false, err
	}
	criteria := &imap.SearchCriteria{Since: s.Since}
	var fresh imap.UIDSet
	fresh.AddRange(imap.UID(at.place.uid)+1, 0)
	criteria.UID = []imap.UIDSet{fresh}
	known, err := s.search(criteria)
	if err != nil {
		return false, err
	}
	uids := slices.DeleteFunc(known, func(uid imap.UID) bool { return uint32(uid) <= at.place.uid }) // "*" is the last one always
	slices.Sort(uids)
	total := len(uids)
	if total > visit {
		uids, more = uids[:visit], true
	}
	for done := 0; done < len(uids); {
		if total > batch {
			s.log.Info("fetching mails", "folder", f.Name, "done", done, "of", total)
		}
		some := uids[done:min(done+batch, len(uids))]
		if err := s.batch(ctx, f, at, some); err != nil {
			return false, err
		}
		done += len(some)
	}
	return more, nil
}

// sized is a mail and how long it is said to be.
type sized struct {
	uid  imap.UID
	size int64
}

// batch hands mails in and moves the cursor behind them, chunk by chunk.
func (s *session) batch(ctx context.Context, f found, at *position, uids []imap.UID) error {
	done := s.conn.busy()
	sizes, err := s.client.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true, RFC822Size: true}).Collect()
	done()
	if err != nil && (s.conn.broken() || !errors.As(err, new(*imap.Error))) {
		return fmt.Errorf("fetch sizes: %w", err)
	}
	size := map[imap.UID]int64{}
	for _, m := range sizes {
		size[m.UID] = m.RFC822Size
	}
	// One bad mail may be all that keeps a server from telling sizes, or its own: each is fetched alone then, and shows what it is.
	if slices.ContainsFunc(uids, func(uid imap.UID) bool { _, there := size[uid]; return !there }) {
		s.suspect[f.Name] = true
	}
	var chunk []sized
	bytes := int64(0)
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		err := s.chunk(ctx, f, at, chunk)
		chunk, bytes = nil, 0
		return err
	}
	for _, uid := range uids {
		n, there := size[uid]
		if !there { // deleted meanwhile, or damaged
			n = s.p.cfg.MaxMessageBytes // the most that it takes
		}
		if bytes+n > chunkBytes || s.suspect[f.Name] {
			if err := flush(); err != nil {
				return err
			}
		}
		chunk = append(chunk, sized{uid, n})
		bytes += n
	}
	if err := flush(); err != nil {
		return err
	}
	delete(s.suspect, f.Name)
	return s.move(ctx, f, at, uint32(uids[len(uids)-1]))
}

// chunk fetches mails, hands them in and moves the cursor behind them.
func (s *session) chunk(ctx context.Context, f found, at *position, mails []sized) error {
	for len(mails) > 0 {
		taken := int64(0)
		for _, m := range mails {
			taken += overhead + min(m.size, s.p.cfg.MaxMessageBytes)
		}
		taken = min(taken, s.p.cfg.MaxMemory)
		if err := s.p.memory.Acquire(ctx, taken); err != nil {
			return err
		}
		rest, err := s.fetchAndDeliver(ctx, f, at, mails)
		s.p.memory.Release(taken)
		if err != nil {
			return err
		}
		mails = rest
	}
	return nil
}

// fetched is a mail as it came. Cut is set where it is longer than a mail may be.
type fetched struct {
	uid imap.UID
	raw []byte
	cut bool
}

// fetchAndDeliver takes mails from the server and hands them in. It gives those that it left, because those before were longer
// than the server had said.
func (s *session) fetchAndDeliver(ctx context.Context, f found, at *position, mails []sized) (rest []sized, err error) {
	got, err := s.fetch(mails)
	if err != nil {
		protocol := !s.conn.broken() || errors.As(err, new(*imap.Error)) // the server's answer, not the network, is to blame
		if !protocol || ctx.Err() != nil {
			return nil, err
		}
		s.suspect[f.Name] = true
		if len(mails) > 1 {
			return nil, &againError{fmt.Errorf("fetch mails: %w", err)}
		}
		return nil, s.refused(ctx, f, at, mails[0], err)
	}
	in := s.Inbox
	in.Sent = f.sent
	deliver, within := errgroup.WithContext(ctx)
	deliver.SetLimit(deliveries)
	last := uint32(0)
	for i, m := range mails {
		g, ok := got[m.uid]
		if !ok {
			if len(got) > 0 && i > 0 {
				rest = mails[i:]
				break
			}
			if there, err := s.exists(m.uid); err != nil || there {
				return nil, s.refused(ctx, f, at, m, cmpErr(err, errors.New("the server has the mail and does not give it")))
			}
			last = uint32(m.uid) // deleted meanwhile
			rest = mails[i+1:]
			break
		}
		last = uint32(m.uid)
		deliver.Go(func() error { return s.deliver(within, in, f, g) })
	}
	if err := deliver.Wait(); err != nil {
		return nil, err
	}
	return rest, s.move(ctx, f, at, last)
}

// fetch takes mails from the server, the first ones at least; of one that is too long, its beginning.
func (s *session) fetch(mails []sized) (map[imap.UID]fetched, error) {
	defer s.conn.busy()()
	section := &imap.FetchItemBodySection{Peek: true}
	most := s.p.cfg.MaxMessageBytes
	cut := len(mails) == 1 && mails[0].size > most
	if cut {
		section.Partial = &imap.SectionPartial{Size: headBytes}
	}
	var uids imap.UIDSet
	for _, m := range mails {
		uids.AddNum(m.uid)
	}
	cmd := s.client.Fetch(uids, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
	got, room := map[imap.UID]fetched{}, max(2*chunkBytes, most)
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		var g fetched
		for item := msg.Next(); item != nil; item = msg.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				g.uid = item.UID
			case imapclient.FetchItemDataBodySection:
				if item.Literal == nil || room <= 0 {
					continue
				}
				size := item.Literal.Size()
				g.cut = cut || size > most
				if g.cut {
					size = min(size, headBytes)
				}
				g.raw = make([]byte, size)
				// A connection that ends looks like a literal's end. The command is left as it is then: to close it would read on, beside
				// the client's own goroutine.
				if n, err := io.ReadFull(item.Literal, g.raw); err != nil {
					_ = s.conn.Close()
					return nil, fmt.Errorf("the mail broke off after %d of %d bytes: %w", n, size, err)
				}
				room -= int64(len(g.raw))
			}
		}
		if g.uid != 0 && g.raw != nil {
			got[g.uid] = g
		}
	}
	return got, cmd.Close()
}

// exists tells whether the folder has a mail still.
func (s *session) exists(uid imap.UID) (bool, error) {
	uids, err := s.search(&imap.SearchCriteria{UID: []imap.UIDSet{imap.UIDSetNum(uid)}})
	return slices.Contains(uids, uid), err
}

func (s *session) search(criteria *imap.SearchCriteria) ([]imap.UID, error) {
	defer s.conn.busy()()
	result, err := s.client.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return result.AllUIDs(), nil
}

// deliver hands a mail in, or keeps it among the dead letters.
func (s *session) deliver(ctx context.Context, in email.Inbox, f found, g fetched) error {
	s.p.metrics.bytes.Add(float64(len(g.raw)))
	var reason string
	var err error
	if g.cut {
		reason = fmt.Sprintf("a mail longer than %d bytes, UID %d of %s: this is its beginning", s.p.cfg.MaxMessageBytes, g.uid, f.Name)
		err = s.p.host.Reject(ctx, channel.Rejection{Tenant: in.Tenant, Provider: email.Provider, Inbox: in.ID, Reason: reason, Raw: g.raw})
	} else {
		reason, err = email.Parse(g.raw).Deliver(ctx, s.p.host, in)
	}
	switch {
	case err != nil:
		return fmt.Errorf("hand a mail in: %w", err)
	case reason != "":
		s.p.metrics.mails.WithLabelValues("dead").Inc()
		s.log.Warn("a mail was put among the dead letters", "folder", f.Name, "uid", uint32(g.uid))
		s.log.Debug("why a mail was put among the dead letters", "uid", uint32(g.uid), "reason", reason)
	default:
		s.p.metrics.mails.WithLabelValues("accepted").Inc()
	}
	return nil
}

// refused counts how often the server did not give a mail. After some tries, each on another connection, it is passed over: what is
// known of it goes among the dead letters, so that those behind it do not wait for ever.
func (s *session) refused(ctx context.Context, f found, at *position, m sized, cause error) error {
	key := trialKey{f.Name, place{at.place.validity, uint32(m.uid)}}
	if s.trials[key]++; s.trials[key] < tries {
		return &againError{fmt.Errorf("fetch UID %d: %w", m.uid, cause)}
	}
	err := s.p.host.Reject(ctx, channel.Rejection{
		Tenant: s.Inbox.Tenant, Provider: email.Provider, Inbox: s.Inbox.ID, Reason: fmt.Sprintf("the mail server does not give it: %v", cause),
		Raw: fmt.Appendf(nil, "UID %d (UIDVALIDITY %d) of %s at %s\n", m.uid, at.place.validity, f.Name, s.Addr),
	})
	if err != nil {
		return fmt.Errorf("keep what is known of a mail: %w", err)
	}
	delete(s.trials, key)
	delete(s.suspect, f.Name)
	s.p.metrics.mails.WithLabelValues("dead").Inc()
	s.log.Warn("the server does not give a mail: it was passed over", "folder", f.Name, "uid", uint32(m.uid))
	if err := s.move(ctx, f, at, uint32(m.uid)); err != nil {
		return err
	}
	return &againError{fmt.Errorf("UID %d was passed over: %w", m.uid, cause)}
}

// againError asks for another connection, although the server's answer alone would not.
type againError struct{ err error }

// Error implements error.
func (e *againError) Error() string { return e.err.Error() }

// move moves the cursor of a folder behind a mail.
func (s *session) move(ctx context.Context, f found, at *position, uid uint32) error {
	if uid <= at.place.uid {
		return nil
	}
	next := place{at.place.validity, uid}
	if err := s.p.cfg.Cursors.MoveCursor(ctx, s.cursor(f.Name), at.stored, next.String()); err != nil {
		return fmt.Errorf("move the cursor: %w", err)
	}
	at.place, at.stored, s.moved = next, next.String(), true
	return nil
}

// wait waits for news: by IDLE in the first folder, or until it is time to look.
func (s *session) wait(ctx context.Context, folders []found, allWell bool) error {
	pause := s.p.cfg.PollInterval
	caps := s.client.Caps()
	if caps.Has(imap.CapIdle) || caps.Has(imap.CapIMAP4rev2) {
		done := s.conn.busy()
		_, err := s.open(ctx, folders[0])
		if err == nil {
			var idle *imapclient.IdleCommand
			if idle, err = s.client.Idle(); err == nil {
				done()
				if len(folders) == 1 && allWell && len(s.Folders) == 1 && folders[0].Name == s.Folders[0].Name {
					pause = s.p.cfg.IdleTime
				}
				s.news(ctx, min(pause, s.p.cfg.IdleTime))
				defer s.conn.busy()()
				if err = idle.Close(); err == nil {
					err = idle.Wait()
				}
				return cmpErr(err, ctx.Err())
			}
		}
		done()
		if s.conn.broken() || !errors.As(err, new(*imap.Error)) {
			return fmt.Errorf("idle: %w", err)
		}
	}
	s.news(ctx, pause)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	defer s.conn.busy()()
	return s.client.Noop().Wait()
}

func (s *session) news(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-s.changed:
	case <-timer.C:
	case <-s.client.Closed():
	case <-ctx.Done():
	}
}
