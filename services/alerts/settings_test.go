package alerts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/services/alerts"
)

func TestEveryWrongSettingIsNamed(t *testing.T) {
	_, err := alerts.NewRules(alerts.Settings{Alerts: []alerts.Rule{
		{Tenant: "acme", Name: "long", Kind: "oldest_waiting", Above: "90s"},
		{Tenant: "acme", Name: "long", Kind: "waiting", Above: "-1"},
		{Name: "nobody's", Kind: "waiting", Above: "5"},
		{Tenant: "acme", Kind: "waiting", Above: "5", Teams: []string{"red"}},
		{Tenant: "acme", Name: strings.Repeat("n", 129), Kind: "service_level", Above: "5", Below: "80"},
		{Tenant: "acme", Name: "a", Kind: "waits"},
		{Tenant: "acme", Name: "b", Kind: "oldest_waiting", Above: "90", Below: "1"},
		{Tenant: "acme", Name: "c", Kind: "vanished", Queues: []string{"sales"}, States: []string{"IDLE"}, For: -time.Second},
		{Tenant: "acme", Name: "d", Kind: "state_too_long", Above: "0s"},
		{Tenant: "acme", Name: "e", Kind: "state_too_long", Above: "1m", States: []string{"UNSPECIFIED", "presence:", "idle"}},
		{Tenant: "globex", Name: "long", Kind: "not_responding", Above: "a while"},
	}})
	if err == nil {
		t.Fatal("all of it is taken")
	}
	const states = `OFF_QUEUE, IDLE, INTERACTING, NOT_RESPONDING, COMMUNICATING, INCOMING, PENDING, CONNECTING, CONNECTED, CONNECTED_ONHOLD, PAUSED, MISSED, REJECTED, ERROR, ENDED, and presences such as presence:Meal`
	want := []string{
		`alerts[1].name: "long" stands twice for tenant "acme"`,
		`alerts[1].above: "-1" is no number, such as 5`,
		`alerts[2].tenant: it is missing`,
		`alerts[3].name: it is missing`,
		`alerts[3].teams: waiting looks at queues: name queues`,
		`alerts[4].name: longer than 128 bytes`,
		`alerts[4].above: service_level takes below`,
		`alerts[4].below: "80" is no share above 0 and up to 1, such as 0.8`,
		`alerts[5].kind: "waits" is no kind; there are oldest_waiting, waiting, service_level, nobody_available, not_responding, vanished and state_too_long`,
		`alerts[6].below: oldest_waiting takes above`,
		`alerts[6].above: "90" is no time up to 720h0m0s, such as 90s`,
		`alerts[7].queues: vanished looks at agents: name teams`,
		`alerts[7].for: -1s is not from 0 s to 720h0m0s`,
		`alerts[7].states: vanished has none`,
		`alerts[8].above: "0s" is no time up to 720h0m0s, such as 90s`,
		`alerts[8].states: they are missing, such as CONNECTED_ONHOLD or presence:Meal`,
		`alerts[9].states[0]: "UNSPECIFIED" is no state; there are ` + states,
		`alerts[9].states[1]: "presence:" is no state; there are ` + states,
		`alerts[9].states[2]: "idle" is no state; there are ` + states,
		`alerts[10].above: "a while" is no time up to 720h0m0s, such as 90s`,
	}
	if got := strings.Split(err.Error(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
