package linker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Topic is a rule that joins interactions of one customer that began within a window and are about one topic.
type Topic struct {
	// Rule is its name, as links bear it.
	Rule string `koanf:"rule" help:"its name, as links show it"`
	// By says what a topic is: contact_reason, as an agent or bot chose it, or subject, as the channel states it.
	By string `koanf:"by" help:"contact_reason or subject"`
	// Window is how far apart they may have begun.
	Window time.Duration `koanf:"window" help:"how far apart they may have begun, such as 72h"`
	// Channels on which they may be, such as voice or email; all unless set.
	Channels []string `koanf:"channels" help:"channels on which they may be, such as voice, email; all unless set"`
}

// topic is a Topic that was checked.
type topic struct {
	Topic
	channels []eventv1.Channel
	types    []string // of the events that give an interaction its topic
}

func compileTopics(all []Topic) ([]topic, error) {
	taken := []string{RuleReferences, RuleContinuation, RuleContinues, RuleIdentifier, RuleAsserted}
	var out []topic
	for i, t := range all {
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("topics[%d].%s", i, fmt.Sprintf(format, args...))
		}
		c := topic{Topic: t}
		switch {
		case t.Rule == "" || len(t.Rule) > 128:
			return nil, wrong("rule: a name of 1 to 128 bytes is needed")
		case slices.Contains(taken, t.Rule):
			return nil, wrong("rule: %q is the name of another rule", t.Rule)
		case t.Window <= 0:
			return nil, wrong("window: it must be above 0")
		}
		taken = append(taken, t.Rule)
		switch t.By {
		case "contact_reason":
			c.types = []string{event.TypeInteractionCategorized}
		case "subject":
			c.types = []string{event.TypeInteractionStarted, event.TypeMessageReceived, event.TypeMessageSent}
		default:
			return nil, wrong("by: %q is neither contact_reason nor subject", t.By)
		}
		for _, name := range t.Channels {
			number, ok := eventv1.Channel_value["CHANNEL_"+strings.ToUpper(name)]
			if !ok || number == 0 {
				return nil, wrong("channels: %q is no channel; write voice, web_chat, email, sms, social_message, social_post, in_app, video or task", name)
			}
			c.channels = append(c.channels, eventv1.Channel(number))
		}
		out = append(out, c)
	}
	return out, nil
}

// topics joins interactions of one customer about one topic, as tenants say.
type topics struct {
	interactions Interactions
	contacts     Contacts
	customers    scope.Customers
	of           map[string][]topic
	others       []topic
}

// any tells whether anybody has a rule.
func (x *topics) any() bool {
	for _, rules := range x.of {
		if len(rules) > 0 {
			return true
		}
	}
	return len(x.others) > 0
}

func (x *topics) rules(tenant string) []topic {
	if rules, ok := x.of[tenant]; ok {
		return rules
	}
	return x.others
}

func (x *topics) wants(e *eventv1.Event) bool {
	return slices.ContainsFunc(x.rules(e.GetTenant()), func(t topic) bool { return slices.Contains(t.types, e.GetType()) })
}

func (x *topics) find(ctx context.Context, r *record) ([]request, error) {
	id, found, err := x.interactions.At(ctx, r.GetTenant(), r.thread(), r.nanos(), r.position)
	if err != nil || !found {
		return nil, err
	}
	this, found, err := x.contacts.Contact(ctx, r.GetTenant(), id, r.position)
	if err != nil || !found {
		return nil, err
	}
	opener, ok := openedBy(this)
	if !ok {
		return nil, nil
	}
	began := this.GetStartedAt().AsTime()
	customer, err := x.customers.Owner(ctx, r.GetTenant(), opener, began.UnixNano())
	if err != nil {
		return nil, err
	}
	var all []request
	for _, t := range x.rules(r.GetTenant()) {
		about := t.about(this)
		if about == "" || !slices.Contains(t.types, r.GetType()) {
			continue
		}
		window := scope.Range{From: began.Add(-t.Window).UnixNano(), Until: began.Add(t.Window).UnixNano() + 1}
		others, err := x.contacts.Began(ctx, r.GetTenant(), customer, window)
		if err != nil {
			return nil, err
		}
		for _, other := range others {
			there, err := event.ParseID(other.GetId())
			if err == nil && other.GetId() != this.GetId() && t.about(other) == about {
				all = append(all, conversation(t.Rule, "one customer, one topic, within "+t.Window.String(), id, there))
			}
		}
	}
	return all, nil
}

// about is the topic of an interaction; empty where it has none or is on another channel.
func (t topic) about(i *conversationv1.Interaction) string {
	switch {
	case len(t.channels) > 0 && !slices.Contains(t.channels, i.GetChannel()):
		return ""
	case t.By == "subject":
		return plainSubject(i.GetSubject())
	}
	return strings.ToLower(strings.Join(i.GetContactReason(), "\x00"))
}

// plainSubject is a subject without what answering and forwarding put before it, in lower case.
func plainSubject(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	for {
		prefix, rest, found := strings.Cut(strings.ReplaceAll(s, "：", ":"), ":")
		if !found || !slices.Contains([]string{"re", "fw", "fwd", "aw", "wg", "sv", "回复", "转发", "答复"}, strings.TrimSpace(prefix)) {
			return s
		}
		s = strings.TrimSpace(rest)
	}
}

// openedBy is the endpoint of the first customer of an interaction.
func openedBy(i *conversationv1.Interaction) (event.ID, bool) {
	for _, p := range i.GetParticipants() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER {
			continue
		}
		if id, err := event.ParseID(p.GetEndpointId()); err == nil {
			return id, true
		}
	}
	return event.ID{}, false
}
