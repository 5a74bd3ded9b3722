package email_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/services/channels/email"
)

// A stranger writes the header; it must not cost more than its length.
func TestALongListOfAddressesIsReadInNoTime(t *testing.T) {
	to := strings.Repeat("a", 500_000) + "@" + strings.Repeat(":", 500_000)
	began := time.Now()
	email.Parse([]byte("From: a@example.com\r\nTo: " + to + "\r\nSubject: x\r\n\r\nHello\r\n"))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
