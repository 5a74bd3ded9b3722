package email

import "strings"

// classify tells what no person wrote to one reader: automatic replies (RFC 3834 and the fields that were used before it),
// and what was sent to many. Precedence is set by both, and so is X-Loop: they count where nothing else tells which.
func classify(h header) (autoReply, bulk bool) {
	value := func(name string) string {
		word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(h.Get(name))), ";")
		return strings.TrimSpace(word)
	}
	for _, name := range []string{"Auto-Submitted", "X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"} {
		if v := value(name); v != "" && v != "no" && v != "none" {
			autoReply = true
		}
	}
	for _, name := range []string{"List-Id", "List-Unsubscribe", "List-Post"} {
		bulk = bulk || value(name) != ""
	}
	switch value("Precedence") {
	case "bulk", "list", "junk":
		bulk = bulk || !autoReply
	case "auto_reply":
		autoReply = true
	}
	return autoReply || !bulk && value("X-Loop") != "", bulk
}
