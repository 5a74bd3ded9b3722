// Package mirror keeps tables of ClickHouse equal to what read models say: interactions, queue visits, assignments, what agents did, the
// directory, links.
//
// A read model changes what it said before: an interaction is reopened, after-call work ends late, an agent gets another id. So the mirror
// remembers, of each entity, the rows that it sent last, and sends the difference: for signed tables the old row with -1 and the new one
// with 1, for the others a row of a higher version. What is sent is recorded first, in one atomic write with what is remembered and with
// how far the source was read; after a crash the same rows go out again under the same token. So each change reaches ClickHouse, and every
// materialised view, once. That rests on the store: where that is restored from a backup, what it remembers is not what the tables hold, and
// a rebuild is needed. Where it is lost, the first start empties the tables by itself.
package mirror

import (
	"context"

	"github.com/skein-cx/skein/pkg/projection"
)

// Source tells of entities whose rows are a function of a read model. It serves one goroutine.
type Source interface {
	// Name is that of the source, such as threads: lower-case letters, digits and "-". It is part of what is stored: it never changes.
	Name() string
	// Tables are those that its rows go to, always the same ones. No other source writes them: a rebuild empties them.
	Tables() []*Table
	// Next waits until something may have changed behind a cursor, and says what; after about a second it returns in any case, with news
	// that name no entity. An empty cursor, or one that is too old to go on from, begins a scan over everything: the first News of a scan
	// says Reset. A scan may take several calls; its cursor says how far it is. What is named too often costs time and nothing else. The
	// same cursor may come again, and ctx may end before anything is found: both must lose nothing.
	Next(ctx context.Context, cursor []byte) (News, error)
	// Rows gives all rows of an entity as they are now, at least as new as the News that named it. None where it is gone. Keys of rows are
	// unique in the entity and table. An error makes the mirror try again; an entity that fails over and over is put aside.
	Rows(ctx context.Context, entity string) ([]Row, error)
}

// News is what may have changed.
type News struct {
	// Entities are those that changed, each once: names of up to 1024 bytes.
	Entities []string
	// Cursor is where to go on, once their rows are recorded.
	Cursor []byte
	// Reset says that a scan begins. Done says that one ends with these News: entities that were sent before and that the scan did not name
	// are looked at then, and taken back where they have no rows any more.
	Reset, Done bool
	// At are the next offsets, by topic, of what is contained once everything up to Cursor is; nil during a scan.
	At map[string]projection.Vector
}

// Row is a row of a table.
type Row struct {
	// Table is where it goes.
	Table *Table
	// Key tells rows of one entity and table apart, as long as they are about one thing, such as an assignment's id. In a table that is not
	// signed, rows of one sorting key have one entity and Key, for ever: of rows that change hands within a batch either may win.
	Key string
	// Data is the row, encoded by the table's own rules. Rows of equal Data are equal.
	Data []byte
}
