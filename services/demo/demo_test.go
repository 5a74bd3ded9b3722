package demo_test

import (
	"bytes"
	"testing"

	"github.com/skein-cx/skein/services/demo"
)

func TestTheStoryIsTheSameAtEveryPlay(t *testing.T) {
	first, err := demo.Story()
	if err != nil {
		t.Fatal(err)
	}
	second, err := demo.Story()
	if err != nil {
		t.Fatal(err)
	}
	for i := range first {
		if !bytes.Equal(first[i].Raw, second[i].Raw) {
			t.Errorf("mail %d differs:\n%s\n%s", i, first[i].Raw, second[i].Raw)
		}
	}
}
