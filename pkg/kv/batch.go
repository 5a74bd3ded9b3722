package kv

import "fmt"

// Batch collects writes that are applied together, in the order of the calls, and what some keys must hold for that.
// The zero value is an empty batch. Keys and values are kept, not copied: do not change them until the batch was applied;
// a store keeps its own copy. Applying changes nothing in a batch. Not for concurrent use.
type Batch struct {
	ops      []Op
	requires []Requirement
	size     int
	longest  int
}

// OpKind is what an Op does.
type OpKind uint8

// The kinds of Op.
const (
	OpSet         OpKind = iota // Key gets Value
	OpDelete                    // Key goes
	OpDeleteRange               // the keys from Key (included) to End (excluded) go, as in a Range
)

// Op is one write of a batch, for engines to carry out.
type Op struct {
	Kind       OpKind
	Key        []byte
	Value, End []byte
}

// Requirement is what a key must hold when the batch is applied; a nil Value means that it must not exist.
type Requirement struct {
	Key, Value []byte
}

// Set writes a key. A nil value is an empty one.
func (b *Batch) Set(key, value []byte) {
	b.add(Op{Kind: OpSet, Key: key, Value: value})
}

// Delete removes a key; it may be missing.
func (b *Batch) Delete(key []byte) {
	b.add(Op{Kind: OpDelete, Key: key})
}

// DeleteRange removes the keys from start (included) to end (excluded); an empty start or end is open, as in a Range.
func (b *Batch) DeleteRange(start, end []byte) {
	b.add(Op{Kind: OpDeleteRange, Key: start, End: end})
}

func (b *Batch) add(op Op) {
	b.ops = append(b.ops, op)
	b.size += len(op.Key) + len(op.Value) + len(op.End)
	b.longest = max(b.longest, len(op.Key), len(op.End))
}

// Require makes the batch fail with ErrConflict unless key holds value just before it is applied; a nil value means
// that the key must not exist, an empty one that it holds nothing. The batch's own writes do not count.
func (b *Batch) Require(key, value []byte) {
	b.requires = append(b.requires, Requirement{Key: key, Value: value})
	b.longest = max(b.longest, len(key))
}

// Validate returns an ErrInvalid where a key or the whole batch is too large. Engines call it.
func (b *Batch) Validate() error {
	if b.longest > MaxKey {
		return fmt.Errorf("%w: a key of %d bytes; %d are allowed", ErrInvalid, b.longest, MaxKey)
	}
	if b.size > MaxBatch {
		return fmt.Errorf("%w: a batch of %d bytes; %d are allowed", ErrInvalid, b.size, MaxBatch)
	}
	return nil
}

// Ops are the writes in order.
func (b *Batch) Ops() []Op { return b.ops }

// Requirements are what the keys must hold.
func (b *Batch) Requirements() []Requirement { return b.requires }

// Len is the number of writes.
func (b *Batch) Len() int { return len(b.ops) }

// Size is the number of bytes of all keys and values.
func (b *Batch) Size() int { return b.size }

// Reset empties the batch for another use.
func (b *Batch) Reset() {
	clear(b.ops)
	clear(b.requires)
	*b = Batch{ops: b.ops[:0], requires: b.requires[:0]}
}
