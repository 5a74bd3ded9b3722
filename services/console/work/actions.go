package work

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/web"
)

// actor is the agent in whose name something is done: what is done to a customer's matter is done by somebody.
func actor(c *web.Call) (*eventv1.SubmittedActor, error) {
	if c.Actor() == nil {
		return nil, web.Bad(lang.T(c.Context(), "Choose first which agent you act as: in your settings, at the top."))
	}
	return c.Actor(), nil
}

func command(c *web.Call) (*conversationv1.Command, error) {
	by, err := actor(c)
	if err != nil {
		return nil, err
	}
	return &conversationv1.Command{ConversationId: c.R.PathValue("conversation"), RequestId: c.Form("request"), Actor: by}, nil
}

// do carries a command out. What changes comes to the page as news, as it does to everybody who looks at the conversation.
func do(c *web.Call, call func(*conversationv1.Command) error) error {
	cmd, err := command(c)
	if err != nil {
		return err
	}
	if err := call(cmd); err != nil {
		return err
	}
	return c.Done(at(cmd.GetConversationId()))
}

func (p *Pages) note(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		_, err := p.conversations.Note(c.Context(), &conversationv1.NoteRequest{Command: cmd, Text: c.Form("text")})
		return err
	})
}

// take gives it to the agent who is named, else to whoever asks.
func (p *Pages) take(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		agent := c.Form("agent")
		if agent == "" {
			agent = cmd.GetActor().GetId()
		}
		_, err := p.conversations.Assign(c.Context(), &conversationv1.AssignRequest{Command: cmd, Agent: agent})
		return err
	})
}

// transfer hands it to whom the form names: queue:kettles, team:support, agent:tom.
func (p *Pages) transfer(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		req := &conversationv1.TransferRequest{Command: cmd, Note: c.Form("note")}
		kind, id, _ := strings.Cut(c.Form("to"), ":")
		switch kind {
		case "queue":
			req.Queue = id
		case "team":
			req.Team = id
		case "agent":
			req.Agent = id
		default:
			return web.Bad(lang.T(c.Context(), "Choose to whom it goes."))
		}
		_, err := p.conversations.Transfer(c.Context(), req)
		return err
	})
}

func (p *Pages) status(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		s, known := map[string]eventv1.InteractionStatus{
			"open": eventv1.InteractionStatus_INTERACTION_STATUS_OPEN, "pending": eventv1.InteractionStatus_INTERACTION_STATUS_PENDING,
		}[c.Form("status")]
		if !known {
			return web.Bad(lang.T(c.Context(), "There is no status %q.", c.Form("status")))
		}
		_, err := p.conversations.SetStatus(c.Context(), &conversationv1.SetStatusRequest{Command: cmd, Status: s})
		return err
	})
}

func (p *Pages) snooze(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		until, ok := wake(c.Form("until"), c.Form("at"), time.Now().In(lang.Zone(c.Context())))
		if !ok {
			return web.Bad(lang.T(c.Context(), "Choose until when it is put off."))
		}
		_, err := p.conversations.SetStatus(c.Context(), &conversationv1.SetStatusRequest{
			Command: cmd, Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, SnoozedUntil: timestamppb.New(until),
		})
		return err
	})
}

// morning is the hour at which what was put off until a day comes back.
const morning = 9

// wake is when what is put off comes back: by one of the buttons, else at the moment of the field, in the zone of now.
func wake(button, field string, now time.Time) (time.Time, bool) {
	day := func(ahead int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+ahead, morning, 0, 0, 0, now.Location())
	}
	switch button {
	case "tomorrow":
		return day(1), true
	case "monday":
		const week = 7
		return day((week+int(time.Monday-now.Weekday())-1)%week + 1), true
	case "":
		t, err := time.ParseInLocation("2006-01-02T15:04", field, now.Location())
		return t, err == nil
	}
	d, err := time.ParseDuration(button)
	return now.Add(d), err == nil && d > 0
}

func (p *Pages) resolve(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		_, err := p.conversations.Resolve(c.Context(), &conversationv1.ResolveRequest{Command: cmd, Resolution: c.Form("resolution")})
		return err
	})
}

func (p *Pages) reopen(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		_, err := p.conversations.Reopen(c.Context(), &conversationv1.ReopenRequest{Command: cmd, Reason: c.Form("reason")})
		return err
	})
}

func (p *Pages) categorize(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		_, err := p.conversations.Categorize(c.Context(), &conversationv1.CategorizeRequest{Command: cmd, Category: &eventv1.InteractionCategorized{
			ContactReason: several(c.Form("reason"), ">›/"), Disposition: c.Form("disposition"), Complaint: c.Form("complaint") != "",
		}})
		return err
	})
}

// mark changes tags and priority.
func (p *Pages) mark(c *web.Call) error {
	return do(c, func(cmd *conversationv1.Command) error {
		update := &eventv1.AttributesUpdated{TagsAdded: several(c.Form("add"), ",，、;")}
		if tag := c.Form("remove"); tag != "" {
			update.TagsRemoved = []string{tag}
		}
		if priority := c.Form("priority"); priority != "" {
			n, err := strconv.ParseInt(priority, 10, 32)
			if err != nil {
				return web.Bad(lang.T(c.Context(), "The priority must be a number."))
			}
			update.Priority = int32(n)
		}
		if len(update.GetTagsAdded())+len(update.GetTagsRemoved()) == 0 && update.GetPriority() == 0 {
			return web.Bad(lang.T(c.Context(), "Write a tag or choose a priority."))
		}
		_, err := p.conversations.Update(c.Context(), &conversationv1.UpdateRequest{Command: cmd, Update: update})
		return err
	})
}

// several are the words of a field, cut at any of the signs.
func several(text, signs string) (all []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(signs, r) }) {
		if word = strings.TrimFunc(word, unicode.IsSpace); word != "" {
			all = append(all, word)
		}
	}
	return all
}

// conversationID finds the id in what a person pastes: the id itself, or the address of the conversation's page.
var conversationID = regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)

func (p *Pages) link(c *web.Call) error {
	by, err := actor(c)
	if err != nil {
		return err
	}
	id, other := c.R.PathValue("conversation"), conversationID.FindString(c.Form("other"))
	if other == "" {
		other = conversationID.FindString(c.Form("known"))
	}
	if other == "" {
		return web.Bad(lang.T(c.Context(), "Choose the other conversation, or paste its address."))
	}
	answer, err := p.conversations.Link(c.Context(), &conversationv1.LinkRequest{
		Members: []string{id, other}, Reason: c.Form("reason"), RequestId: c.Form("request"), Actor: by,
	})
	if err != nil {
		return err
	}
	return c.GoTo(at(answer.GetConversation().GetId()))
}

func (p *Pages) unlink(c *web.Call) error {
	by, err := actor(c)
	if err != nil {
		return err
	}
	answer, err := p.conversations.Unlink(c.Context(), &conversationv1.UnlinkRequest{EventId: c.Form("event"), RequestId: c.Form("request"), Actor: by})
	if err != nil {
		return err
	}
	now, err := p.conversations.Get(c.Context(), &conversationv1.GetRequest{
		ConversationId: c.R.PathValue("conversation"), MinPositions: []*eventv1.Position{answer.GetPosition()},
	})
	if err != nil {
		return err
	}
	return c.GoTo(at(now.GetConversation().GetId()))
}

// token shows a continuation token.
func (p *Pages) token(c *web.Call) error {
	answer, err := p.conversations.Token(c.Context(), &conversationv1.TokenRequest{ConversationId: c.R.PathValue("conversation")})
	if err != nil {
		return err
	}
	return c.Parts(tokenAnswer(answer))
}
