package sink

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

func TestWordsAreEncodedAsTheDriverDoesItHoweverManyThereAre(t *testing.T) {
	words := newTable("words", term("word", func(w string) string { return w }))
	for _, many := range []int{1, 2, 253, 254, 255, 256, 65_533, 65_534, 65_535, 65_536} {
		rows := []string{"", "", "0"}
		for i := range many - 1 { // with the empty one, so many
			rows = append(rows, fmt.Sprint(i), fmt.Sprint(i/2))
		}
		block := proto.NewBlock()
		if err := block.AddColumn("word", "LowCardinality(String)"); err != nil {
			t.Fatal(err)
		}
		if _, err := block.Columns[0].Append(rows); err != nil {
			t.Fatal(err)
		}
		var want chproto.Buffer
		if err := block.Encode(&want, 0); err != nil {
			t.Fatal(err)
		}
		insertion := words.of("", rows)
		got, err := io.ReadAll(insertion.Native())
		if err != nil || !bytes.Equal(got, want.Buf) {
			t.Errorf("%d words are encoded in another way than the driver does it: %v", many, err)
		}
		insertion.done() // the next one has its room
	}
}
