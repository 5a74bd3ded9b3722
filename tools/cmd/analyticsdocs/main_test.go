package main

import (
	"os"
	"testing"
)

func TestTheDefinitionsInTheDocsAreThoseOfTheReports(t *testing.T) {
	if is, err := os.ReadFile("../../../" + path); err != nil || string(is) != text() {
		t.Errorf("%s is stale: make generate writes it again (%v)", path, err)
	}
}
