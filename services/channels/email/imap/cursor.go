package imap

import (
	"fmt"
	"strconv"
	"strings"
)

// place is how far a folder was read: up to and with a UID, which means something under its UIDVALIDITY only (RFC 3501, section
// 2.3.1.1). A zero UIDVALIDITY is none.
type place struct {
	validity, uid uint32
}

func (p place) String() string { return fmt.Sprintf("%d:%d", p.validity, p.uid) }

// parsePlace reads a cursor. One that it cannot read is none: the folder is read from its beginning, which doubles nothing.
func parsePlace(cursor string) place {
	validity, uid, ok := strings.Cut(cursor, ":")
	v, errV := strconv.ParseUint(validity, 10, 32)
	u, errU := strconv.ParseUint(uid, 10, 32)
	if !ok || errV != nil || errU != nil {
		return place{}
	}
	return place{uint32(v), uint32(u)}
}
