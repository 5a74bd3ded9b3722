package email

import "strings"

// classify tells what no person wrote to one reader: automatic replies (RFC 3834 and the fields that were used before it),
// and what was sent to many. X-Loop is set by both; on what was sent to many it says nothing more.
func classify(h header) (autoReply, bulk bool) {
	value := func(name string) string {
		word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(h.Get(name))), ";")
		return strings.TrimSpace(word)
	}
	switch value("Precedence") {
	case "bulk", "list", "junk":
		bulk = true
	case "auto_reply":
		autoReply = true
	}
	for _, name := range []string{"List-Id", "List-Unsubscribe", "List-Post"} {
		bulk = bulk || value(name) != ""
	}
	for _, name := range []string{"Auto-Submitted", "X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"} {
		if v := value(name); v != "" && v != "no" && v != "none" {
			autoReply = true
		}
	}
	return autoReply || !bulk && value("X-Loop") != "", bulk
}
