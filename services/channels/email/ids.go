package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strings"
)

// messageID is what stands in angle brackets. In references only those with an "@" count, because prose holds others.
var messageID = regexp.MustCompile(`<([^<>]*)>`)

// ownID reads a Message-ID: what stands in its brackets, else all of it.
func ownID(field string) string {
	if m := messageID.FindStringSubmatch(field); m != nil {
		return cleanID(m[1])
	}
	return cleanID(strings.Trim(field, "<> \t"))
}

// ids reads the message ids of References or In-Reply-To, 200 at most: the first and the last ones.
func ids(fields []string) []string {
	var list []string
	for _, field := range fields {
		for _, m := range messageID.FindAllStringSubmatch(field, -1) {
			if id := cleanID(m[1]); strings.Contains(id, "@") {
				list = append(list, id)
			}
		}
	}
	if len(list) > maxReferences {
		list = append(list[:1], list[len(list)-maxReferences+1:]...)
	}
	return list
}

// cleanID takes white space and control characters out, as folding may have put them in, and hashes what is too long
// for a key.
func cleanID(id string) string {
	id = strings.ToValidUTF8(strings.Join(strings.Fields(cleanLine(strings.ToValidUTF8(id, "\ufffd"))), ""), "")
	if len(id) > maxID {
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}

// Thread is the native id of the thread that the mail belongs to: the first of References, else In-Reply-To, else (where it
// reports that a mail did not arrive) the thread of that mail, else its own Message-ID, else its fingerprint. Of several ids
// in In-Reply-To it is the last, because before it may stand the address of who is answered: "Message from Jo
// <jo@example.com> of Tuesday <17@example.com>".
func (m *Mail) Thread() string {
	switch {
	case len(m.References) > 0:
		return m.References[0]
	case m.InReplyTo != "":
		return m.InReplyTo
	case m.Bounce != nil && m.returned != nil:
		if references := ids(m.returned["References"]); len(references) > 0 {
			return references[0]
		}
		if answered := ids(m.returned["In-Reply-To"]); len(answered) > 0 {
			return answered[len(answered)-1]
		}
		if id := ownID(m.returned.Get("Message-Id")); id != "" {
			return id
		}
	}
	return m.NativeID()
}

// NativeID is the Message-ID, or "hash:" and the fingerprint where there is none.
func (m *Mail) NativeID() string {
	if m.MessageID != "" {
		return m.MessageID
	}
	return "hash:" + hex.EncodeToString(m.Fingerprint[:])
}

// fingerprint is SHA-256 over From, Date and body. Transports fold fields, end lines and add empty lines at the end as
// they like, so none of this counts.
func fingerprint(h header, body []byte) [sha256.Size]byte {
	sum := sha256.New()
	field := func(b []byte) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		sum.Write(length[:])
		sum.Write(b)
	}
	for _, name := range []string{"From", "Date"} {
		field([]byte(strings.Join(strings.Fields(h.Get(name)), " ")))
	}
	body = bytes.TrimRight(body, "\r\n")
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		sum.Write(bytes.TrimRight(line, "\r"))
		sum.Write([]byte{'\n'})
	}
	return [sha256.Size]byte(sum.Sum(nil))
}
