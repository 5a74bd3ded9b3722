package timers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/services/timers"
)

func TestEveryWrongSettingIsNamed(t *testing.T) {
	_, err := timers.NewPolicies(timers.Settings{
		Hours: []timers.Hours{
			{Tenant: "acme", Name: "office", TimeZone: "Europe/Berlin", Open: []string{"mon-fri 09:00-17:30"}},
			{Tenant: "acme", Name: "office", TimeZone: "Berlin", Open: []string{"mon-fri 09:00-17:30", "monday 09:00-10:00", "mon 9:00-10:00", "fri 22:00-06:00", "sun"}},
			{Tenant: "acme", Name: "shut"},
			{Tenant: "acme", Name: "never", Open: []string{"mon-fri 09:00-17:30"}, Except: []string{"01-01/12-31 closed"}},
			{Tenant: "acme", Name: "odd", Open: []string{"daily 00:00-24:00"}, Except: []string{
				"2026-12-25", "25.12. closed", "2026-12-25/01-01 closed", "2026-12-25/2026-12-24 closed", "2026-01-01/2028-01-01 closed", "02-30 closed",
			}},
			{Name: "nobody's", Open: []string{"daily 00:00-24:00"}},
			{Tenant: "acme", Name: "rare", Open: []string{"mon 09:00-09:01"}},
		},
		Policies: []timers.Policy{
			{Tenant: "acme", Name: "mail", Channels: []string{"mail", "Email"}, Priorities: []int32{0}, Hours: "night", Resolution: -time.Hour},
			{Tenant: "acme", Name: "mail"},
			{Tenant: "globex", Name: "theirs", Hours: "office"},
			{Tenant: "acme"},
			{Tenant: "acme", Name: strings.Repeat("n", 129)},
			{Tenant: "acme", Name: "slow", Hours: "rare", FirstResponse: 100 * time.Hour, WrapupTimeout: -time.Minute},
		},
	})
	if err == nil {
		t.Fatal("all of it is taken")
	}
	want := []string{
		`hours[1].name: "office" stands twice for tenant "acme"`,
		`hours[1].time_zone: "Berlin" is no time zone, such as Europe/Berlin or Asia/Shanghai`,
		`hours[1].open[1]: "monday 09:00-10:00": "monday" is no day of the week, such as mon, nor days, such as mon-fri or daily`,
		`hours[1].open[2]: "mon 9:00-10:00": "9:00-10:00" is no opening, such as 09:00-17:30`,
		`hours[1].open[3]: "fri 22:00-06:00": "22:00-06:00" ends before it begins; what goes on after midnight is two openings, of two days`,
		`hours[1].open[4]: "sun": it has no opening, such as 09:00-17:30`,
		`hours[2].open: there is no opening at all`,
		`hours[3].open: there is no opening at all`,
		`hours[4].except[0]: "2026-12-25": it has no opening, such as 09:00-17:30, or closed`,
		`hours[4].except[1]: "25.12. closed": "25.12." is no date, such as 2026-12-25, or 12-25 for every year`,
		`hours[4].except[2]: "2026-12-25/01-01 closed": the year stands with one of the two dates only`,
		`hours[4].except[3]: "2026-12-25/2026-12-24 closed": it ends before it begins`,
		`hours[4].except[4]: "2026-01-01/2028-01-01 closed": it is longer than a year`,
		`hours[4].except[5]: "02-30 closed": "02-30" is no date, such as 2026-12-25, or 12-25 for every year`,
		`hours[5].tenant: it is missing`,
		`policies[0].channels[0]: "mail" is no channel; there are email, in_app, sms, social_message, social_post, task, video, voice, web_chat`,
		`policies[0].channels[1]: "Email" is no channel; there are email, in_app, sms, social_message, social_post, task, video, voice, web_chat`,
		`policies[0].priorities[0]: 0 is no priority; 1 is the most urgent`,
		`policies[0].hours: tenant "acme" has no hours "night"`,
		`policies[0].resolution: -1h0m0s is negative`,
		`policies[1].name: "mail" stands twice for tenant "acme"`,
		`policies[2].hours: tenant "globex" has no hours "office"`,
		`policies[3].name: it is missing`,
		`policies[4].name: longer than 128 bytes`,
		`policies[5].wrapup_timeout: -1m0s is negative`,
		`policies[5].first_response: 100h0m0s of open hours take longer than 100 years`,
	}
	if got := strings.Split(err.Error(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAWholePolicyIsTaken(t *testing.T) {
	_, err := timers.NewPolicies(timers.Settings{
		Hours: []timers.Hours{{Tenant: "acme", Name: "office", TimeZone: "Asia/Shanghai", Open: []string{"mon-fri 09:00-12:00 13:00-18:00"}, Except: []string{"2026-10-01/2026-10-07 closed"}}},
		Policies: []timers.Policy{{
			Tenant: "acme", Name: "vip", Inboxes: []string{"support"}, Queues: []string{"vip"}, Channels: []string{"web_chat"}, Priorities: []int32{1, 2}, Hours: "office",
			FirstResponse: 10 * time.Minute, NextResponse: time.Hour, Resolution: 9 * time.Hour, IdleTimeout: time.Hour, ReopenWindow: -1, WrapupTimeout: time.Minute,
		}},
	})
	if err != nil {
		t.Error(err)
	}
}
