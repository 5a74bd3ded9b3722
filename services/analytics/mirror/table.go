package mirror

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// Table is a table that is kept equal. A source declares its tables; each has a name of its own.
type Table struct {
	// Name is that of the table. It is part of what is stored.
	Name string
	// Columns are what Append appends, without sign, version and removed, which the mirror appends behind them.
	Columns []string
	// Signed tables take a row back by the same row with sign -1. The others have version and removed: of two rows of one sorting key the
	// higher version counts.
	Signed bool
	// Append appends a row that was encoded in Data, and then the values of tail, to a batch.
	Append func(b driver.Batch, data []byte, tail ...any) error
}

// sending is a parcel as an insert takes it.
type sending struct {
	*parcel
	table    *Table
	database string
}

// rowError is why a row cannot be appended: it will not do better the next time.
type rowError struct{ err error }

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }

// Table implements warehouse.Rows.
func (s sending) Table() string { return in(s.database, s.table.Name) }

// Columns implements warehouse.Rows.
func (s sending) Columns() []string {
	columns := append(make([]string, 0, len(s.table.Columns)+2), s.table.Columns...)
	if s.table.Signed {
		return append(columns, "sign")
	}
	return append(columns, "version", "removed")
}

// Len implements warehouse.Rows.
func (s sending) Len() int { return s.len() }

// Append implements warehouse.Rows.
func (s sending) Append(b driver.Batch) error {
	for _, g := range s.groups {
		for _, c := range g.changes {
			var err error
			switch {
			case c.kind == former:
			case s.table.Signed:
				err = s.table.Append(b, c.data, signs[c.kind])
			default:
				err = s.table.Append(b, c.data, s.version, c.kind == back)
			}
			if err != nil {
				return &rowError{fmt.Errorf("mirror: the row %q of %q: %w", c.key, g.entity, err)}
			}
		}
	}
	return nil
}

// refused tells whether an insert failed because of a row, so that it would fail again however often it is repeated, and the others would
// not. What is wrong with the table or the rights, such as a column that is missing, somebody has to set right: that is waited for.
func refused(err error) bool {
	if row := new(rowError); errors.As(err, &row) {
		return true
	}
	return warehouse.OfRow(err)
}

var signs = [...]int8{holds: 1, back: -1} //nolint:gochecknoglobals // a constant
