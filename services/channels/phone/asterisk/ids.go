package asterisk

import (
	"strconv"
	"strings"
)

// older tells whether a channel's id is older than another's, as Asterisk compares them: by the second in which it was
// made, then by its number. An id is [system name-]seconds.number.
func older(a, b string) bool {
	aSeconds, aNumber, aOK := madeAt(a)
	bSeconds, bNumber, bOK := madeAt(b)
	switch {
	case !aOK || !bOK:
		return a < b
	case aSeconds != bSeconds:
		return aSeconds < bSeconds
	case aNumber != bNumber:
		return aNumber < bNumber
	}
	return a < b
}

// madeAt takes a channel's id apart.
func madeAt(id string) (seconds, number int64, ok bool) {
	id = id[strings.LastIndexByte(id, '-')+1:]
	whole, rest, ok := strings.Cut(id, ".")
	if !ok {
		return 0, 0, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	number, err = strconv.ParseInt(rest, 10, 64)
	return seconds, number, err == nil
}

// isInternal tells the channels that Asterisk makes for itself from those of calls: announcers and recorders of conferences,
// stand-ins during a transfer, text messages.
func isInternal(channel string) bool {
	technology, _, _ := strings.Cut(channel, "/")
	switch technology {
	case "Announcer", "AsyncGoto", "Bridge", "CBAnn", "CBRec", "Message", "Recorder", "Snoop", "Surrogate":
		return true
	}
	return false
}
