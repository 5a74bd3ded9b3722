package state_test

import (
	"testing"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// Whether what was missed still shows depends on everything that happened since the agent chose a presence, though the desktop fell silent later.
func TestAStateNeedsWhatHappenedSinceAPresenceWasChosenThoughTheDesktopFellSilent(t *testing.T) {
	const second = int64(1e9)
	h := &state.History{
		Agent:      "lena",
		Connectors: []state.Connector{{Name: "desk", First: 10 * second, Alive: []state.Stretch{{From: 10 * second, Until: 50 * second}}}},
		Statements: []state.Statement{{
			Moment: state.Moment{Occurred: 10 * second}, Connector: "desk", Kind: state.Presence,
			Chosen: state.Chosen{Presence: "Available", Type: eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE},
		}},
	}
	at := h.At(60 * second)
	if !at.GetPresence().GetVanished() || at.GetPresence().GetSince().GetSeconds() != 50 {
		t.Errorf("a desktop that fell silent: %v", at.GetPresence())
	}
	if from := h.Window(60 * second); from != 10*second {
		t.Errorf("needs what happened from second %d on, and a presence was chosen in second 10", from/second)
	}
}
