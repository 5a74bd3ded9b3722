package board

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
)

// filter says which rows somebody wants. Lists that are nil let everything in.
type filter struct {
	queues, teams, agents map[string]struct{}
	without               [kinds]bool
}

func newFilter(f *boardv1.BoardFilter) *filter {
	return &filter{
		queues: set(f.GetQueues()), teams: set(f.GetTeams()), agents: set(f.GetAgentIds()),
		without: [kinds]bool{queueKind: f.GetWithoutQueues(), teamKind: f.GetWithoutTeams(), agentKind: f.GetWithoutAgents()},
	}
}

// all reports whether it lets every row in.
func (f *filter) all() bool {
	return f.queues == nil && f.teams == nil && f.agents == nil && f.without == [kinds]bool{}
}

func set(ids []string) map[string]struct{} {
	if len(ids) == 0 {
		return nil
	}
	all := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		all[id] = struct{}{}
	}
	return all
}

func lets(in map[string]struct{}, id string) bool {
	_, named := in[id]
	return in == nil || named
}

// fate is what becomes of a row for somebody.
type fate int

const (
	ignored fate = iota
	sent
	removed
)

// of tells what becomes of a row that changed, for somebody who knows a version.
func (f *filter) of(r *row, known uint64) fate {
	if f.without[r.kind] {
		return ignored
	}
	in, was := false, false
	switch of := r.body.(type) {
	case *queue:
		in = lets(f.queues, r.id)
	case *team:
		in = lets(f.teams, r.id)
	case *agent:
		if !lets(f.agents, r.id) {
			return ignored
		}
		in = f.teams == nil
		for _, t := range of.teams {
			in = in || lets(f.teams, t.id)
		}
		was = !in && of.partedSince(f.teams, known)
	}
	switch {
	case in && r.shown:
		return sent
	case in, was:
		return removed
	default:
		return ignored
	}
}

// sinceOf reads from when on what is counted counts: the begin of a quarter of an hour, or the zero time where nobody says so.
func sinceOf(t *timestamppb.Timestamp, now time.Time) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	err := t.CheckValid()
	switch at := t.AsTime(); {
	case err != nil:
	case at.After(now):
		err = fmt.Errorf("must not be later than now, %s", now.UTC().Format(time.RFC3339))
	case at.Before(quarterStart(oldest(now.UnixNano()))):
		err = fmt.Errorf("must be within the last %d hours: visits are counted that long", int(Kept.Hours()))
	default:
		return quarterStart(quarter(at.UnixNano())), nil
	}
	return time.Time{}, rpc.InvalidField("since", err)
}

var errSinceIsOver = errors.New("board: since is longer ago than visits are counted: watch again, from later on")
