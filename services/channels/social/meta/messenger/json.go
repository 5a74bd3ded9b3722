package messenger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// word is a text that Meta sometimes writes as a number: an id, a time, a flag.
type word string

var errNoWord = errors.New("an id or a time is neither a text nor a number")

// UnmarshalJSON implements json.Unmarshaler.
func (w *word) UnmarshalJSON(raw []byte) error {
	switch {
	case string(raw) == "null":
		*w = ""
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return errNoWord
		}
		*w = word(s)
	case string(raw) == "true":
		*w = "1"
	case string(raw) == "false":
		*w = "0"
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		*w = word(raw)
	default:
		return errNoWord
	}
	return nil
}

// loose is a value of a type that Meta may one day give another type to: what does not fit is left out.
type loose[T any] struct{ value T }

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if json.Unmarshal(raw, &v) == nil {
		l.value = v
	}
	return nil
}

// stamp reads a time: milliseconds since 1970 in messages, seconds in changes. Nil where there is none that can be stored, so that the time
// of receipt counts.
func stamp(w word) *timestamppb.Timestamp {
	n, err := strconv.ParseInt(string(w), 10, 64)
	if err != nil || n <= 0 {
		return nil
	}
	t := time.Unix(n, 0)
	if n > 1e11 { // later than the year 5138 in seconds
		t = time.UnixMilli(n)
	}
	if at := timestamppb.New(t); at.IsValid() {
		return at
	}
	return nil
}

// fingerprint tells apart what has no id of its own.
func fingerprint(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		var length [8]byte
		for i := range length {
			length[i] = byte(len(p) >> (8 * i))
		}
		h.Write(length[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)[:16]
}

// hash is a fingerprint as a text.
func hash(raw []byte) string { return hex.EncodeToString(fingerprint(string(raw))) }

const maxName = 100
