package view

import (
	"cmp"
	"context"
	"slices"
	"strings"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// Names tell agents, queues and teams by what people call them. The zero value knows none: each is called by its id then.
type Names struct{ Agents, Queues, Teams Called }

// Called are those of one kind: by their id in the directory, and by what connectors call them.
type Called struct {
	// All in the order of their names.
	All []Entity

	byProvider map[native]*Entity
	byID       map[string]*Entity // whichever provider calls them so; the directory's ids before all
}

// Entity is an agent, a queue or a team.
type Entity struct {
	// ID in the directory, and Name: the id, where people call it nothing.
	ID, Name string
	natives  []*eventv1.NativeId
}

// native is what events call somebody: by the id in the directory where provider is empty, else by the provider's.
type native struct{ provider, id string }

// NewNames takes names from what the directory states.
func NewNames(agents, queues, teams []*eventv1.DirectoryUpdated) Names {
	return Names{called(agents), called(queues), called(teams)}
}

func called(stated []*eventv1.DirectoryUpdated) Called {
	c := Called{byProvider: map[native]*Entity{}, byID: map[string]*Entity{}}
	for _, e := range stated {
		if e.GetEntry() == nil {
			continue // it is there no more
		}
		c.All = append(c.All, Entity{
			ID: e.GetId(), Name: cmp.Or(e.GetAgent().GetName(), e.GetQueue().GetName(), e.GetTeam().GetName(), e.GetId()),
			natives: append(e.GetAgent().GetIds(), e.GetQueue().GetIds()...),
		})
	}
	slices.SortFunc(c.All, func(a, b Entity) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	for i := range c.All {
		one := &c.All[i]
		c.byProvider[native{"", one.ID}], c.byID[one.ID] = one, one
	}
	for i := range c.All {
		for _, n := range c.All[i].natives {
			c.byProvider[native{n.GetProvider(), n.GetId()}] = &c.All[i]
			if c.byID[n.GetId()] == nil {
				c.byID[n.GetId()] = &c.All[i]
			}
		}
	}
	return c
}

// Name is what people call whom a provider's events call so; the id, where nobody knows.
func (c Called) Name(provider, id string) string {
	for _, n := range []native{{provider, id}, {"", id}} {
		if known := c.byProvider[n]; known != nil {
			return known.Name
		}
	}
	return id
}

// NameOf is what people call whom any provider calls so.
func (c Called) NameOf(id string) string {
	if known := c.byID[id]; known != nil {
		return known.Name
	}
	return id
}

// ID is the directory's, of whom any provider calls so.
func (c Called) ID(id string) string {
	if known := c.byID[id]; known != nil {
		return known.ID
	}
	return id
}

// Aliases are all that events may carry for an id.
func (c Called) Aliases(id string) []string {
	known := c.byID[id]
	if known == nil {
		return []string{id}
	}
	all := []string{known.ID}
	for _, n := range known.natives {
		all = append(all, n.GetId())
	}
	return all
}

// target is to whom something is handed over: an agent, else a queue, else what it is called by.
func (f Files) target(e *eventv1.Event, id string) string {
	if name := f.Names.Agents.Name(e.GetProvider(), id); name != id {
		return Plain(name)
	}
	return Plain(f.Names.Queues.Name(e.GetProvider(), id))
}

// who is whoever did it. An agent goes by the directory's name, else by the one that the channel showed; a customer by that one, else by their own; a
// system that does something on the way by none.
func (f Files) who(ctx context.Context, e *timelinev1.Entry) string {
	a := e.GetEvent().GetActor()
	shown, address := f.speaker(e)
	switch a.GetKind() {
	case eventv1.ActorKind_ACTOR_KIND_AGENT, eventv1.ActorKind_ACTOR_KIND_BOT:
		if name := f.Names.Agents.Name(e.GetEvent().GetProvider(), a.GetId()); name != a.GetId() {
			return name
		}
		return cmp.Or(shown, a.GetId())
	case eventv1.ActorKind_ACTOR_KIND_CUSTOMER:
		return cmp.Or(shown, f.People[a.GetId()], address, lang.T(ctx, "Customer"))
	case eventv1.ActorKind_ACTOR_KIND_SYSTEM, eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED:
	}
	if !spoken(e) {
		return ""
	}
	if ours(e.GetEvent()) {
		return cmp.Or(shown, lang.T(ctx, "The company"))
	}
	return cmp.Or(shown, address, lang.T(ctx, "Customer"))
}

// speaker is the party that speaks: the name that the channel showed of it, and what it is called else.
func (f Files) speaker(e *timelinev1.Entry) (shown, address string) {
	details := e.GetContent().GetParties()
	ours := ours(e.GetEvent())
	for i, p := range e.GetEvent().GetParties() {
		if !speaks(p.GetRole()) || i >= len(details) || ours != (p.GetSide() == eventv1.Side_SIDE_COMPANY) {
			continue
		}
		shown = cmp.Or(shown, strings.TrimSpace(details[i].GetDisplayName()))
		address = cmp.Or(address, f.People[p.GetEndpointId()], details[i].GetStatedAddress(), details[i].GetAddress())
	}
	return shown, address
}

// spoken tells what somebody says from what happens on the way.
func spoken(e *timelinev1.Entry) bool {
	switch body(e).(type) {
	case *eventv1.Content_MessageReceived, *eventv1.Content_MessageSent, *eventv1.Content_MessageSendRequested, *eventv1.Content_MessageEdited,
		*eventv1.Content_NoteAdded:
		return true
	}
	return false
}

// Plain is a name as it can stand in a sentence: without signs that turn the direction of what follows.
func Plain(name string) string {
	return strings.Map(func(r rune) rune {
		if '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' {
			return -1
		}
		return r
	}, name)
}
