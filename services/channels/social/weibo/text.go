package weibo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	maxName   = 512 // of a display name, in characters
	maxSource = 4096
)

// text is a string that Weibo also writes as a number; of one, its digits.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.Equal(data, []byte("null")):
		return nil
	case data[0] == '"':
		return json.Unmarshal(data, (*string)(t))
	case data[0] == '{', data[0] == '[':
		return fmt.Errorf("a text or a number is expected, not %.20s", data)
	}
	*t = text(data)
	return nil
}

// isNumber tells whether s is one of Weibo's ids.
func isNumber(s string) bool {
	return s != "" && s[0] != '0' && len(s) <= 19 && strings.Trim(s, "0123456789") == ""
}

// cut shortens s to so many characters.
func cut(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i]
		}
	}
	return s
}

// created is a time as Weibo writes it, "Mon Jul 16 18:09:20 +0800 2012"; nil where it is none.
func created(s text) *timestamppb.Timestamp {
	at, err := time.Parse(time.RubyDate, string(s))
	if ts := timestamppb.New(at); err == nil && ts.IsValid() && at.UnixMilli() <= maxMillis {
		return ts
	}
	return nil
}

// fit makes a word of an event type of Weibo's name.
func fit(name string) string {
	word := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, cut(name, 64))
	if word = strings.TrimLeft(word, "_-"); word == "" {
		return "event"
	}
	return word
}
