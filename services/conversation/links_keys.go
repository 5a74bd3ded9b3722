package conversation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
)

// LinksSlice is the name of the read model of what joins interactions and threads.
const LinksSlice = "conversations"

// The spaces of the slice. Every key is written from one partition only: the one that holds its tenant.
//
//	tenant, 't'                → the tenant's clock
//	tenant, 'm', id            → edges: what was ever linked or joined with an interaction or thread
//	tenant, 'e', event         → what was decided about an event, and what it joins
//	changes, partition, offset → tenant, ids that are joined or parted, for those who watch
//
// What deciding takes is one key for each event and id, so that a decision never scans.
const (
	linksTenant  = 0x01
	linksChanges = 0x02

	linksClock = 't'
	linksEdges = 'm'
	linksEvent = 'e'
)

var errLinksDamaged = errors.New("conversation: a row of the links cannot be read: the store is damaged")

func linksKey(tenant string, sub byte, id event.ID) []byte {
	b := make([]byte, 0, 3+len(tenant)+len(id))
	b = append(b, linksTenant, byte(len(tenant)))
	b = append(append(b, tenant...), sub)
	return append(b, id[:]...)
}

func linksClockKey(tenant string) []byte {
	b := append([]byte{linksTenant, byte(len(tenant))}, tenant...)
	return append(b, linksClock)
}

func linksChangeKey(partition int32, offset int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{linksChanges}, uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

// never is the offset of what has not happened.
const never = -1

// stamp is when something was decided: its offset, and the tenant's clock in nanoseconds since 1970. The clock of a tenant is the latest
// time of receipt so far, so what was decided by a moment is what was decided before an offset.
type stamp struct{ offset, clock int64 }

func (s stamp) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	return binary.BigEndian.AppendUint64(b, uint64(s.clock))
}

func decodeStamp(b []byte) stamp {
	return stamp{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
}

// outcome is what came of an event.
type outcome byte

const (
	outcomeDone outcome = 1 + iota
	outcomeMalformed
	outcomeUnknownEvent
	outcomeAlreadyUndone
)

// linkKind is what an event does.
type linkKind byte

const (
	kindLink linkKind = 1 + iota
	kindJoin          // a child thread, then its parent
	kindUndo
)

// decision is what came of an event, and what it says.
type decision struct {
	kind         linkKind
	outcome      outcome
	made, undone stamp
	// link has the members; of an undo, the event that it undoes.
	link *conversationv1.ConversationLink
	// members are those of the link, near the threads of those that are interactions, as far as the event names them.
	members, near []event.ID
}

// decisionHead is the length of what stands before the threads and the link.
const decisionHead = 2 + 4*8 + 4

func (d *decision) encode() ([]byte, error) {
	b := d.undone.append(d.made.append([]byte{byte(d.kind), byte(d.outcome)}))
	b = binary.BigEndian.AppendUint32(b, uint32(len(d.near)))
	for _, id := range d.near {
		b = append(b, id[:]...)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, d.link)
	if err != nil {
		return nil, fmt.Errorf("conversation: encode a link: %w", err)
	}
	return b, nil
}

func decodeDecision(b []byte) (*decision, error) {
	if len(b) < decisionHead {
		return nil, errLinksDamaged
	}
	d := &decision{
		kind: linkKind(b[0]), outcome: outcome(b[1]), made: decodeStamp(b[2:]), undone: decodeStamp(b[18:]),
		link: &conversationv1.ConversationLink{},
	}
	near := uint64(binary.BigEndian.Uint32(b[decisionHead-4:]))
	if b = b[decisionHead:]; near*uint64(len(event.ID{})) > uint64(len(b)) {
		return nil, errLinksDamaged
	}
	for ; near > 0; near-- {
		d.near = append(d.near, event.ID(b))
		b = b[len(event.ID{}):]
	}
	if proto.Unmarshal(b, d.link) != nil {
		return nil, errLinksDamaged
	}
	for _, text := range d.link.GetMembers() {
		id, err := event.ParseID(text)
		if err != nil {
			return nil, errLinksDamaged
		}
		d.members = append(d.members, id)
	}
	return d, nil
}

// edges is what was ever linked or joined with an interaction or thread: the events that say so.
type edges []edge

type edge struct {
	role  edgeRole
	event event.ID
}

// edgeRole is the part that an interaction or thread plays in an event.
type edgeRole byte

const (
	roleMember edgeRole = 1 + iota
	roleNear            // the thread of a member
	roleChild
	roleParent
)

const edgeSize = 1 + len(event.ID{})

func (e edge) append(b []byte) []byte { return append(append(b, byte(e.role)), e.event[:]...) }

func decodeEdges(b []byte) (edges, error) {
	if len(b)%edgeSize != 0 {
		return nil, errLinksDamaged
	}
	all := make(edges, 0, len(b)/edgeSize)
	for ; len(b) > 0; b = b[edgeSize:] {
		all = append(all, edge{edgeRole(b[0]), event.ID(b[1:edgeSize])})
	}
	return all, nil
}

// named are all that it is about.
func (d *decision) named() []event.ID { return append(slices.Clip(d.members), d.near...) }

// linkChange is that a record joined or parted what the ids name.
type linkChange struct {
	tenant string
	ids    []event.ID
}

func (c linkChange) append(b []byte) []byte {
	b = append(append(b, byte(len(c.tenant))), c.tenant...)
	for _, id := range c.ids {
		b = append(b, id[:]...)
	}
	return b
}

func decodeLinkChange(b []byte) (linkChange, error) {
	if len(b) < 1 || len(b) < 1+int(b[0]) || (len(b)-1-int(b[0]))%len(event.ID{}) != 0 {
		return linkChange{}, errLinksDamaged
	}
	c := linkChange{tenant: string(b[1 : 1+b[0]])}
	for b = b[1+b[0]:]; len(b) > 0; b = b[len(event.ID{}):] {
		c.ids = append(c.ids, event.ID(b))
	}
	return c, nil
}
