package x

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	maxName   = 512 // of a display name, in bytes
	maxHandle = 64  // of what shows a user's handle beside its name
	maxSource = 4096
	maxPlace  = 512
)

// isNumber tells whether s is one of X's ids.
func isNumber(s string) bool { return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == "" }

// shown is what a text shows: the part between two characters, with the links as they were before they were shortened, and without
// those of its media.
func shown(raw string, between []int, es ...entities) string {
	if len(between) == 2 {
		runes := []rune(raw)
		if from, to := between[0], between[1]; 0 <= from && from <= to && to <= len(runes) {
			raw = string(runes[from:to])
		}
	}
	for _, e := range es {
		for _, m := range e.Media {
			raw = replace(raw, string(m.URL), "")
		}
		for _, u := range e.URLs {
			raw = replace(raw, string(u.URL), string(cmp.Or(u.ExpandedURL, u.URL)))
		}
	}
	return strings.TrimSpace(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(raw))
}

// replace puts what a short link stands for in its place, once: each place has a link of its own.
func replace(s, link, by string) string {
	if !strings.HasPrefix(link, "https://t.co/") {
		return s
	}
	return strings.Replace(s, link, by, 1)
}

// epoch is where X's ids begin to count, in milliseconds, and firstID the first that does
// (https://docs.x.com/resources/fundamentals/x-ids).
const (
	epoch   = 1288834974657
	firstID = 29700859247
)

// timeOf is when an id was made, to the millisecond; nil of the ids that do not tell.
func timeOf(id string) *timestamppb.Timestamp {
	n, err := strconv.ParseUint(id, 10, 63)
	if err != nil || n < firstID {
		return nil
	}
	return timestamppb.New(time.UnixMilli(int64(n>>22) + epoch))
}

// millis is a time in milliseconds; nil where it is none.
func millis(s text) *timestamppb.Timestamp {
	n, err := strconv.ParseInt(string(s), 10, 64)
	if err != nil || n <= 0 || n > maxMillis {
		return nil
	}
	return timestamppb.New(time.UnixMilli(n))
}

// maxMillis is the end of the year 9999.
const maxMillis = 253402300799999
