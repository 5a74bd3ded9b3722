package agents

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/skein-cx/skein/pkg/projection"
)

// cursor is how far everything was followed that changes what agents did.
type cursor struct {
	// Statements and Work are how far their changes are contained, once nothing is Pending.
	Statements, Work place
	// Books tells by tenant what its agents are called.
	Books map[string]uint64
	// Looked is the moment up to which time has passed, in nanoseconds since 1970.
	Looked int64
	// Sweep goes through all agents; nil for none.
	Sweep *sweep `json:",omitempty"`
	// Pending are the agents whose days are to be named yet, in their order.
	Pending []days `json:",omitempty"`
}

// place is how far a read model was followed.
type place struct {
	Generation uint32
	Next       projection.Vector
}

// sweep goes through all agents, in their order.
type sweep struct {
	// Scan says that it began a scan: every day is named. Else those from a day on.
	Scan bool
	From int64
	// Begun says that agents up to After were named.
	Begun bool
	After who
	// Again says that the present day is to be gone through once more, as what was remembered of it is lost.
	Again bool
}

// days are those of an agent, from one on.
type days struct {
	who
	From int64
}

// epochDay is that from which on all days of an agent are named.
const epochDay = -1 << 40

func (c *cursor) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("agents: encode a cursor: %w", err)
	}
	return b, nil
}

// decodeCursor reads one; nil where there is none, or none that can be read: it begins anew then.
func decodeCursor(b []byte) *cursor {
	c := &cursor{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if len(b) == 0 || d.Decode(c) != nil {
		return nil
	}
	if c.Books == nil {
		c.Books = map[string]uint64{}
	}
	return c
}
