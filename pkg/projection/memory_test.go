package projection_test

import (
	"testing"

	"github.com/skein-cx/skein/pkg/projection"
)

func TestAMemoryForgetsWhatWasNotAskedForLately(t *testing.T) {
	m := projection.NewMemory[string](40, func(n *int) int { return *n })
	ten := 10
	m.Keep("a", &ten)
	m.Keep("b", &ten)
	m.Keep("c", &ten) // begins another half
	if m.Get("a") != &ten {
		t.Error("what was there a moment ago is forgotten")
	}
	m.Keep("d", &ten)
	m.Grow(1) // of a or d
	if m.Get("b") != nil || m.Get("a") != &ten {
		t.Errorf("b, whom nobody asked for, is %v; a is %v", m.Get("b"), m.Get("a"))
	}
	off := projection.NewMemory[string](0, func(n *int) int { return *n })
	if off.Keep("a", &ten); !off.Off() || off.Get("a") != nil {
		t.Error("one without room remembers")
	}
}

func TestOfWhatBeganUnderItsEyesEveryIdIsKnownUntilThereAreTooMany(t *testing.T) {
	id := func(n int) [16]byte { return [16]byte{14: byte(n >> 8), 15: byte(n)} }
	s, old := projection.NewSeen(true), projection.NewSeen(false)
	if !s.Lacks(id(1)) || !s.Add(id(1)) || s.Lacks(id(1)) || !s.Lacks(id(2)) {
		t.Error("of a new one, an id is known once it was added, and no other")
	}
	if old.Lacks(id(1)) || old.Add(id(1)) {
		t.Error("of one that was there before, nothing is known")
	}
	for n := 2; s.Add(id(n)); n++ {
		if n > 1<<16 {
			t.Fatal("there is no end to what it remembers")
		}
	}
	if s.Whole() || s.Len() != 0 || s.Lacks(id(1<<16-1)) {
		t.Error("of too many it says that one was never seen")
	}
}
