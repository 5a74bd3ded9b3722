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
	maxName   = 512 // of a display name, in bytes
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

// created is a time as Weibo writes it, "Mon Jul 16 18:09:20 +0800 2012"; nil where it is none.
func created(s text) *timestamppb.Timestamp {
	at, err := time.Parse(time.RubyDate, string(s))
	if ts := timestamppb.New(at); err == nil && ts.IsValid() && at.UnixMilli() <= maxMillis {
		return ts
	}
	return nil
}
