package kv

// Batch collects writes that are applied together, in the order of the calls, and what some keys must hold for that.
// The zero value is an empty batch. Keys and values are kept, not copied: do not change them afterwards. Not for
// concurrent use.
type Batch struct {
	ops      []Op
	requires []Requirement
	size     int
}

// OpKind is what an Op does.
type OpKind uint8

// The kinds of Op.
const (
	OpSet         OpKind = iota // Key gets Value
	OpDelete                    // Key goes
	OpDeleteRange               // the keys from Key (included) to End (excluded) go
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

// Set writes a key.
func (b *Batch) Set(key, value []byte) {
	b.ops = append(b.ops, Op{Kind: OpSet, Key: key, Value: value})
	b.size += len(key) + len(value)
}

// Delete removes a key.
func (b *Batch) Delete(key []byte) {
	b.ops = append(b.ops, Op{Kind: OpDelete, Key: key})
	b.size += len(key)
}

// DeleteRange removes the keys from start (included) to end (excluded). Both must be given.
func (b *Batch) DeleteRange(start, end []byte) {
	b.ops = append(b.ops, Op{Kind: OpDeleteRange, Key: start, End: end})
	b.size += len(start) + len(end)
}

// Require makes the batch fail with ErrConflict unless key holds value just before it is applied; a nil value means
// that the key must not exist. The batch's own writes do not count.
func (b *Batch) Require(key, value []byte) {
	b.requires = append(b.requires, Requirement{Key: key, Value: value})
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
	b.ops, b.requires, b.size = b.ops[:0], b.requires[:0], 0
}
