package email

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// idMark begins the Message-IDs that Skein makes, with the version of their form.
	idMark = "sk1."
	// tagSize and uniqueSize are bytes of a Message-ID's tag and of what tells it from others of its thread.
	tagSize, uniqueSize = 16, 12
	// maxEncodedThread is how long a thread may be, in bytes, that a Message-ID encodes: a line takes 998 (RFC 5322, section 2.1.1).
	maxEncodedThread = 500
)

// MessageIDs makes Message-IDs that hold their thread, so that an answer comes into the thread whatever its writer's program
// does with References, and reads them. A keyed hash keeps others from making one of another thread or inbox. It is safe for
// concurrent use.
type MessageIDs struct {
	secret []byte
}

// NewMessageIDs takes a secret of 32 bytes that stays the same for ever: event.Keyring's for a purpose.
func NewMessageIDs(secret []byte) (*MessageIDs, error) {
	if len(secret) != sha256.Size {
		return nil, fmt.Errorf("email: the secret of Message-IDs has %d bytes, not %d", len(secret), sha256.Size)
	}
	return &MessageIDs{secret}, nil
}

// Make gives the Message-ID, without angle brackets, of a mail that the company sends in a thread of an inbox. The same unique,
// such as the id of the request to send, gives the same one again. A thread above 500 bytes is not encoded: then References
// alone hold it. The domain is the company's.
func (ids *MessageIDs) Make(tenant, inbox, thread, unique, domain string) (string, error) {
	if thread == "" || unique == "" || domain == "" || strings.ContainsFunc(domain, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-')
	}) {
		return "", errors.New("email: a Message-ID needs a thread, something unique and a domain name")
	}
	nonce := ids.tag("unique", tenant, inbox, thread, unique)[:uniqueSize]
	if len(thread) > maxEncodedThread {
		return fmt.Sprintf("%s@%s", encodeID(nonce), domain), nil
	}
	tag := ids.tag("thread", tenant, inbox, thread, string(nonce))[:tagSize]
	return fmt.Sprintf("%s%s.%s.%s@%s", idMark, encodeID([]byte(thread)), encodeID(nonce), encodeID(tag), domain), nil
}

// Thread reads the thread of a Message-ID that was made for this inbox. It is false for any other, and where ids is nil.
func (ids *MessageIDs) Thread(tenant, inbox, messageID string) (thread string, ok bool) {
	local, _, _ := strings.Cut(messageID, "@")
	encoded, ours := strings.CutPrefix(local, idMark)
	if ids == nil || !ours {
		return "", false
	}
	parts := strings.Split(encoded, ".")
	if len(parts) != 3 {
		return "", false
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return "", false
		}
	}
	tag := ids.tag("thread", tenant, inbox, string(decoded[0]), string(decoded[1]))[:tagSize]
	if len(decoded[1]) != uniqueSize || !hmac.Equal(tag, decoded[2]) {
		return "", false
	}
	return string(decoded[0]), true
}

// tag is a keyed hash of some texts.
func (ids *MessageIDs) tag(texts ...string) []byte {
	sum := hmac.New(sha256.New, ids.secret)
	for _, text := range texts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		sum.Write(length[:])
		sum.Write([]byte(text))
	}
	return sum.Sum(nil)
}

func encodeID(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ThreadIn is the native id of the thread that the mail belongs to in an inbox: the one that a Message-ID of the company's holds
// that the mail has or answers, the newest first, else Thread.
func (m *Mail) ThreadIn(in Inbox) string {
	candidates := []string{m.MessageID, m.InReplyTo}
	for _, id := range slices.Backward(m.References) {
		candidates = append(candidates, id)
	}
	if m.returned != nil && m.Bounce != nil {
		candidates = append(candidates, ownID(m.returned.Get("Message-Id")))
		for _, id := range slices.Backward(ids([]string{m.returned.Get("In-Reply-To"), m.returned.Get("References")})) {
			candidates = append(candidates, id)
		}
	}
	for _, id := range candidates {
		if thread, ok := in.MessageIDs.Thread(in.Tenant, in.ID, id); ok {
			return thread
		}
	}
	return m.Thread()
}
