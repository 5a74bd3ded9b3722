package chat

import (
	"context"
	"time"

	"github.com/skein-cx/skein/pkg/live"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// typist is somebody who types, as the visitor sees it.
type typist struct {
	// By is the name that it shows, if any.
	By string `json:"by,omitempty"`
	// Kind is agent or bot.
	Kind string `json:"kind"`
}

// typistOf is who signals, where it is one of the company's.
func typistOf(s *livev1.Signal) (who typist, ok bool) {
	switch s.GetActorKind() { //nolint:exhaustive // the visitor is told of no others
	case eventv1.ActorKind_ACTOR_KIND_AGENT:
		return typist{By: s.GetAuthor(), Kind: fromAgent}, true
	case eventv1.ActorKind_ACTOR_KIND_BOT:
		return typist{By: s.GetAuthor(), Kind: fromBot}, true
	}
	return typist{}, false
}

// maxTypists is of how many a visitor is told at once.
const maxTypists = 8

// followTyping follows those who type in the thread; it gives nil where that cannot be.
func (s *socket) followTyping() *live.Follower {
	if s.c.cfg.Live == nil {
		return nil
	}
	f, err := s.c.cfg.Live.Follow(s.who.thread())
	if err != nil { // the visitor can do without
		s.c.log.Debug("a thread's typing cannot be followed", "error", err)
		return nil
	}
	return f
}

// watchTyping tells the visitor who begins to type and who is not typing any more: who has said something, has stopped, or has not
// signalled for a while.
func (s *socket) watchTyping(ctx context.Context, f *live.Follower) {
	var signals <-chan *livev1.Signal
	if f != nil {
		defer f.Close()
		signals = f.Signals()
	}
	until := map[typist]time.Time{}
	tell := func(who typist, on bool) { s.write(ctx, typingFrame{Type: frameTyping, typist: who, On: on}) }
	over := func(match func(typist, time.Time) bool) {
		for who, end := range until {
			if match(who, end) {
				delete(until, who)
				tell(who, false)
			}
		}
	}
	next := time.NewTimer(s.c.limits.Typing)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case kind := <-s.said:
			over(func(who typist, _ time.Time) bool { return who.Kind == kind })
		case now := <-next.C:
			over(func(_ typist, end time.Time) bool { return !now.Before(end) })
		case signal, ok := <-signals:
			if !ok { // the process is stopping
				signals = nil
				continue
			}
			who, ok := typistOf(signal)
			if !ok {
				continue
			}
			if signal.GetActivity() != livev1.Activity_ACTIVITY_TYPING {
				over(func(other typist, _ time.Time) bool { return other == who })
				continue
			}
			_, known := until[who]
			if !known && len(until) == maxTypists {
				continue
			}
			if until[who] = time.Now().Add(s.c.limits.Typing); !known {
				tell(who, true)
			}
		}
		rest := s.c.limits.Typing
		for _, end := range until {
			rest = min(rest, time.Until(end))
		}
		next.Reset(max(rest, 0))
	}
}
