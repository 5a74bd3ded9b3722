package mirror

import (
	"cmp"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// progressRow says how far a partition is contained.
type progressRow struct {
	topic          string
	partition      int32
	next           int64
	until, written time.Time
}

func (r progressRow) compare(o progressRow) int {
	return cmp.Or(cmp.Compare(r.topic, o.topic), cmp.Compare(r.partition, o.partition))
}

// progressRows are rows of the table progress.
type progressRows []progressRow

// Table implements warehouse.Rows.
func (r progressRows) Table() string { return "progress" }

// Columns implements warehouse.Rows.
func (r progressRows) Columns() []string {
	return []string{"stream", "topic", "partition", "next_offset", "complete_until", "written_at"}
}

// Len implements warehouse.Rows.
func (r progressRows) Len() int { return len(r) }

// Append implements warehouse.Rows.
func (r progressRows) Append(b driver.Batch) error {
	for _, row := range r {
		if err := b.Append(stream, row.topic, row.partition, row.next, row.until, row.written); err != nil {
			return err
		}
	}
	return nil
}
