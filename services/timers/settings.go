package timers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/hours"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Settings are what tenants configure; the tags are those of the configuration file.
type Settings struct {
	// Hours are business hours, by name.
	Hours []Hours `koanf:"hours" help:"business hours, by name"`
	// Policies are asked in their order: the first of a tenant that fits an interaction holds.
	Policies []Policy `koanf:"policies" help:"targets and windows of interactions: the first that fits holds"`
}

// Hours are when a part of a company is open.
type Hours struct {
	Tenant   string   `koanf:"tenant" help:"tenant that they belong to"`
	Name     string   `koanf:"name" help:"name by which policies refer to them"`
	TimeZone string   `koanf:"time_zone" help:"time zone, such as Europe/Berlin or Asia/Shanghai; UTC unless set"`
	Open     []string `koanf:"open" help:"weekly openings, such as mon-fri 09:00-12:30 13:30-18:00"`
	Except   []string `koanf:"except" help:"days that are otherwise, such as 12-25 closed, 2026-10-01/2026-10-07 closed or 2026-10-10 09:00-18:00"`
}

// Policy says what is expected of interactions. Of the lists, each that is not empty must have what the interaction has.
type Policy struct {
	Tenant     string   `koanf:"tenant" help:"tenant that it belongs to"`
	Name       string   `koanf:"name" help:"its name, as events carry it"`
	Inboxes    []string `koanf:"inboxes" help:"for these inboxes; all unless set"`
	Queues     []string `koanf:"queues" help:"for these queues; all, and none, unless set"`
	Channels   []string `koanf:"channels" help:"for these channels, such as email or web_chat; all unless set"`
	Priorities []int32  `koanf:"priorities" help:"for these priorities, of which 1 is the most urgent; all, and none, unless set"`

	Hours         string        `koanf:"hours" help:"business hours in which targets count; always unless set"`
	FirstResponse time.Duration `koanf:"first_response" help:"target: a person's first reply; none unless set"`
	NextResponse  time.Duration `koanf:"next_response" help:"target: a person's reply to what the customer wrote later; none unless set"`
	Resolution    time.Duration `koanf:"resolution" help:"target: the resolution; none unless set"`
	IdleTimeout   time.Duration `koanf:"idle_timeout" help:"without any activity for so long, it ends; the channel's usual where it is 0, never where it is negative"`
	ReopenWindow  time.Duration `koanf:"reopen_window" help:"for how long after its end by idleness a message still belongs to it; the channel's usual where it is 0, not at all where it is negative"`
	WrapupTimeout time.Duration `koanf:"wrapup_timeout" help:"after so long an agent's after-call work ends by itself, where the provider tells no end; never unless set"`
}

const (
	// defaultPolicy is the name of the policy that holds where none fits.
	defaultPolicy = "default"
	// maxName is how many bytes a policy's name may have.
	maxName = 128
)

// windows are how long an interaction may be idle, 0 for ever, for how long it can be reopened by a message, and how long after-call work may
// take, 0 for ever.
type windows struct{ idle, reopen, wrapup time.Duration }

// usual are the windows of a channel. A call or a piece of work ends when it is told to have ended.
func usual(c eventv1.Channel) windows {
	switch c {
	case eventv1.Channel_CHANNEL_WEB_CHAT, eventv1.Channel_CHANNEL_IN_APP:
		return windows{idle: 30 * time.Minute, reopen: 24 * time.Hour}
	case eventv1.Channel_CHANNEL_SMS, eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.Channel_CHANNEL_SOCIAL_POST:
		return windows{idle: 24 * time.Hour, reopen: 72 * time.Hour}
	case eventv1.Channel_CHANNEL_EMAIL:
		return windows{reopen: 14 * 24 * time.Hour}
	case eventv1.Channel_CHANNEL_UNSPECIFIED, eventv1.Channel_CHANNEL_VOICE, eventv1.Channel_CHANNEL_VIDEO, eventv1.Channel_CHANNEL_TASK:
	}
	return windows{}
}

// tenantName names something of a tenant's.
type tenantName struct{ tenant, name string }

// Policies are settings that were checked. They are safe for concurrent use; of nil ones, the defaults hold.
type Policies struct{ of map[string][]*policy }

// policy is a Policy that was checked.
type policy struct {
	Policy
	channels []eventv1.Channel
	calendar *hours.Calendar
}

// NewPolicies checks settings. The error tells everything that is wrong, each thing by the name of the setting.
func NewPolicies(s Settings) (*Policies, error) {
	var errs []error
	wrong := func(list string, i int, err error) {
		for _, err := range flatten(err) {
			errs = append(errs, fmt.Errorf("%s[%d].%w", list, i, err))
		}
	}
	calendars := make(map[tenantName]*hours.Calendar, len(s.Hours))
	for i, h := range s.Hours {
		key := tenantName{h.Tenant, h.Name}
		wrong("hours", i, checkName(key, calendars[key] != nil))
		c, err := hours.New(h.TimeZone, h.Open, h.Except)
		wrong("hours", i, err)
		calendars[key] = c
	}
	p := &Policies{of: map[string][]*policy{}}
	seen := make(map[tenantName]bool, len(s.Policies))
	for i, settings := range s.Policies {
		key := tenantName{settings.Tenant, settings.Name}
		wrong("policies", i, checkName(key, seen[key]))
		seen[key] = true
		made, err := newPolicy(settings, calendars)
		wrong("policies", i, err)
		p.of[settings.Tenant] = append(p.of[settings.Tenant], made)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func checkName(key tenantName, again bool) error {
	switch {
	case key.tenant == "":
		return errors.New("tenant: it is missing")
	case key.name == "":
		return errors.New("name: it is missing")
	case len(key.name) > maxName:
		return fmt.Errorf("name: longer than %d bytes", maxName)
	case again:
		return fmt.Errorf("name: %q stands twice for tenant %q", key.name, key.tenant)
	}
	return nil
}

func newPolicy(s Policy, calendars map[tenantName]*hours.Calendar) (*policy, error) {
	p := &policy{Policy: s}
	var errs []error
	for i, name := range s.Channels {
		c, ok := eventv1.Channel_value["CHANNEL_"+strings.ToUpper(name)]
		if !ok || c == 0 || name != strings.ToLower(name) {
			errs = append(errs, fmt.Errorf("channels[%d]: %q is no channel; there are %s", i, name, strings.Join(channelNames(), ", ")))
		}
		p.channels = append(p.channels, eventv1.Channel(c))
	}
	for i, n := range s.Priorities {
		if n < 1 {
			errs = append(errs, fmt.Errorf("priorities[%d]: %d is no priority; 1 is the most urgent", i, n))
		}
	}
	known := true
	if s.Hours != "" {
		if p.calendar, known = calendars[tenantName{s.Tenant, s.Hours}]; !known {
			errs = append(errs, fmt.Errorf("hours: tenant %q has no hours %q", s.Tenant, s.Hours))
		}
	}
	if s.WrapupTimeout < 0 {
		errs = append(errs, fmt.Errorf("wrapup_timeout: %v is negative", s.WrapupTimeout))
	}
	for _, t := range p.targets() {
		if t.target < 0 {
			errs = append(errs, fmt.Errorf("%s: %v is negative", t.setting, t.target))
		} else if known && (p.calendar == nil || p.calendar.Opens()) {
			if _, ok := p.calendar.Add(someMoment, t.target); !ok {
				errs = append(errs, fmt.Errorf("%s: %v of open hours take longer than 100 years", t.setting, t.target))
			}
		}
	}
	return p, errors.Join(errs...)
}

// someMoment is where it is tried how long a target takes.
var someMoment = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

func channelNames() []string {
	var names []string
	for n, name := range eventv1.Channel_name {
		if n != 0 {
			names = append(names, strings.ToLower(strings.TrimPrefix(name, "CHANNEL_")))
		}
	}
	slices.Sort(names)
	return names
}

// target is a time in which something is to be done; 0 for none.
type target struct {
	metric  eventv1.SlaMetric
	setting string
	target  time.Duration
}

func (p *policy) targets() []target {
	return []target{
		{eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE, "first_response", p.FirstResponse},
		{eventv1.SlaMetric_SLA_METRIC_NEXT_RESPONSE, "next_response", p.NextResponse},
		{eventv1.SlaMetric_SLA_METRIC_RESOLUTION, "resolution", p.Resolution},
	}
}

// windows are those of the policy, on a channel.
func (p *policy) windows(c eventv1.Channel) windows {
	w := usual(c)
	w.wrapup = p.WrapupTimeout
	for _, of := range []struct {
		window *time.Duration
		set    time.Duration
	}{{&w.idle, p.IdleTimeout}, {&w.reopen, p.ReopenWindow}} {
		if of.set != 0 {
			*of.window = max(of.set, 0)
		}
	}
	return w
}
