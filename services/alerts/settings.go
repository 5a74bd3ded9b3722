package alerts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Settings are what tenants configure; the tags are those of the configuration file.
type Settings struct {
	// Alerts are the rules.
	Alerts []Rule `koanf:"alerts" help:"what of the live board needs a supervisor"`
}

// Rule says what is looked at, and from when on it is too much.
type Rule struct {
	Tenant string        `koanf:"tenant" help:"tenant that it belongs to"`
	Name   string        `koanf:"name" help:"its name, as alerts carry it"`
	Kind   string        `koanf:"kind" help:"what it looks at: oldest_waiting, waiting, service_level, nobody_available, not_responding, vanished or state_too_long"`
	Queues []string      `koanf:"queues" help:"these queues, by their ids in the directory; all unless set; for the kinds that look at queues"`
	Teams  []string      `koanf:"teams" help:"agents of these teams; all unless set; for the kinds that look at agents"`
	States []string      `koanf:"states" help:"state_too_long: routing statuses such as INTERACTING, contact states such as CONNECTED_ONHOLD, or presences such as presence:Meal"`
	Above  string        `koanf:"above" help:"more than this is too much: a time such as 90s, or for waiting a number"`
	Below  string        `koanf:"below" help:"service_level: less than this is too little, such as 0.8"`
	For    time.Duration `koanf:"for" help:"raised when it has been so for this long, and cleared when it has not been so for this long; at once unless set"`
}

const (
	maxName = 128
	// maxTime bounds a time that is allowed.
	maxTime = 30 * 24 * time.Hour
	// presencePrefix stands before a presence among states.
	presencePrefix = "presence:"
)

// aspect is what a kind of rule looks at.
type aspect struct {
	kind   eventv1.AlertKind
	agents bool // else queues
	limit  limit
}

// limit is what a rule has to state.
type limit int

const (
	limitTime        limit = iota // a time, in above
	limitTimeOrThere              // likewise, 0 unless set
	limitNumber                   // a number, in above
	limitShare                    // a share, in below
)

func aspects() map[string]aspect {
	return map[string]aspect{
		"oldest_waiting":   {kind: eventv1.AlertKind_ALERT_KIND_OLDEST_WAITING, limit: limitTime},
		"waiting":          {kind: eventv1.AlertKind_ALERT_KIND_WAITING, limit: limitNumber},
		"service_level":    {kind: eventv1.AlertKind_ALERT_KIND_SERVICE_LEVEL, limit: limitShare},
		"nobody_available": {kind: eventv1.AlertKind_ALERT_KIND_NOBODY_AVAILABLE, limit: limitTimeOrThere},
		"not_responding":   {kind: eventv1.AlertKind_ALERT_KIND_NOT_RESPONDING, agents: true, limit: limitTimeOrThere},
		"vanished":         {kind: eventv1.AlertKind_ALERT_KIND_VANISHED, agents: true, limit: limitTimeOrThere},
		"state_too_long":   {kind: eventv1.AlertKind_ALERT_KIND_STATE_TOO_LONG, agents: true, limit: limitTime},
	}
}

// Rules are settings that were checked. They are safe for concurrent use; nil ones are none.
type Rules struct{ of map[string][]*rule }

// rule is a Rule that was checked.
type rule struct {
	aspect
	name          string
	queues, teams []string
	presences     []string
	statuses      []eventv1.RoutingStatus
	contacts      []agentv1.ContactState
	threshold     float64       // what is allowed: seconds, contacts, a share
	above         time.Duration // the same, where it is a time
	hold          time.Duration
}

// NewRules checks settings. The error tells everything that is wrong, each thing by the name of the setting.
func NewRules(s Settings) (*Rules, error) {
	rules := &Rules{of: map[string][]*rule{}}
	seen, kinds := map[[2]string]bool{}, aspects()
	var errs []error
	for i, settings := range s.Alerts {
		wrong := func(setting, format string, args ...any) {
			errs = append(errs, fmt.Errorf("alerts[%d].%s: %s", i, setting, fmt.Sprintf(format, args...)))
		}
		key := [2]string{settings.Tenant, settings.Name}
		switch {
		case settings.Tenant == "":
			wrong("tenant", "it is missing")
		case settings.Name == "":
			wrong("name", "it is missing")
		case len(settings.Name) > maxName:
			wrong("name", "longer than %d bytes", maxName)
		case seen[key]:
			wrong("name", "%q stands twice for tenant %q", settings.Name, settings.Tenant)
		}
		seen[key] = true
		looks, ok := kinds[settings.Kind]
		if !ok {
			wrong("kind", "%q is no kind; there are oldest_waiting, waiting, service_level, nobody_available, not_responding, vanished and state_too_long", settings.Kind)
			continue
		}
		r := &rule{aspect: looks, name: settings.Name, queues: settings.Queues, teams: settings.Teams, hold: settings.For}
		r.read(settings, wrong)
		rules.of[settings.Tenant] = append(rules.of[settings.Tenant], r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return rules, nil
}

// read takes over what depends on the kind.
func (r *rule) read(s Rule, wrong func(setting, format string, args ...any)) {
	if r.agents && len(s.Queues) > 0 {
		wrong("queues", "%s looks at agents: name teams", s.Kind)
	}
	if !r.agents && len(s.Teams) > 0 {
		wrong("teams", "%s looks at queues: name queues", s.Kind)
	}
	if s.For < 0 || s.For > maxTime {
		wrong("for", "%v is not from 0 s to %v", s.For, maxTime)
	}
	if share := r.limit == limitShare; share && s.Above != "" {
		wrong("above", "%s takes below", s.Kind)
	} else if !share && s.Below != "" {
		wrong("below", "%s takes above", s.Kind)
	}
	switch r.limit {
	case limitShare:
		var err error
		if r.threshold, err = strconv.ParseFloat(s.Below, 64); err != nil || !(r.threshold > 0 && r.threshold <= 1) {
			wrong("below", "%q is no share above 0 and up to 1, such as 0.8", s.Below)
		}
	case limitNumber:
		n, err := strconv.ParseUint(s.Above, 10, 31)
		if err != nil {
			wrong("above", "%q is no number, such as 5", s.Above)
		}
		r.threshold = float64(n)
	default:
		if s.Above == "" && r.limit == limitTimeOrThere {
			break
		}
		d, err := time.ParseDuration(s.Above)
		if err != nil || d < 0 || d > maxTime || d == 0 && r.limit == limitTime {
			wrong("above", "%q is no time up to %v, such as 90s", s.Above, maxTime)
		}
		r.above, r.threshold = d, d.Seconds()
	}
	r.readStates(s, wrong)
}

func (r *rule) readStates(s Rule, wrong func(setting, format string, args ...any)) {
	if tooLong := r.kind == eventv1.AlertKind_ALERT_KIND_STATE_TOO_LONG; !tooLong && len(s.States) > 0 {
		wrong("states", "%s has none", s.Kind)
	} else if tooLong && len(s.States) == 0 {
		wrong("states", "they are missing, such as CONNECTED_ONHOLD or presence:Meal")
	}
	const status, contact = "ROUTING_STATUS_", "CONTACT_STATE_"
	for i, name := range s.States {
		presence, chosen := strings.CutPrefix(name, presencePrefix)
		n, isStatus := eventv1.RoutingStatus_value[status+name]
		c, isContact := agentv1.ContactState_value[contact+name]
		switch {
		case chosen && presence != "":
			r.presences = append(r.presences, presence)
		case isStatus && n != 0:
			r.statuses = append(r.statuses, eventv1.RoutingStatus(n))
		case isContact && c != 0:
			r.contacts = append(r.contacts, agentv1.ContactState(c))
		default:
			wrong(fmt.Sprintf("states[%d]", i), "%q is no state; there are %s, %s, and presences such as %sMeal",
				name, names(status, eventv1.RoutingStatus_name), names(contact, agentv1.ContactState_name), presencePrefix)
		}
	}
}

// names are those of an enumeration, in the order of their numbers.
func names(prefix string, all map[int32]string) string {
	var numbers []int32
	for n := range all {
		if n != 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = strings.TrimPrefix(all[n], prefix)
	}
	return strings.Join(list, ", ")
}
