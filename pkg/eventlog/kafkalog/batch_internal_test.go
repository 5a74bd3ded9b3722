package kafkalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// The driver decodes, and checks the checksum.
func TestABatchIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Ptr(rapid.SliceOf(rapid.Byte()), true)
		draw := func(name string) []byte {
			if b := some.Draw(t, name); b != nil {
				return append([]byte{}, *b...)
			}
			return nil
		}
		var b batch
		messages := make([]eventlog.Message, rapid.IntRange(1, 300).Draw(t, "messages"))
		for i := range messages {
			m := eventlog.Message{Key: draw("key"), Value: draw("value")}
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				m.Headers = append(m.Headers, eventlog.Header{Key: rapid.String().Draw(t, "header"), Value: draw("header value")})
			}
			messages[i] = m
			before, size := max(len(b.encoded), batchOverhead), sizeOf(m)
			b.add(m, size, nil)
			if grown := len(b.encoded) - before; grown > size {
				t.Fatalf("a message of %d bytes took %d", size, grown)
			}
		}
		var decoded protocol.RecordSet
		if _, err := decoded.ReadFrom(bytes.NewReader(b.seal())); err != nil {
			t.Fatal(err)
		}
		for i, m := range messages {
			r, err := decoded.Records.ReadRecord()
			if err != nil {
				t.Fatal(err)
			}
			if r.Offset != int64(i) || r.Time.UnixMilli() < b.begun.UnixMilli() || r.Time.UnixMilli() > b.last {
				t.Errorf("record %d has offset %d and time %s", i, r.Offset, r.Time)
			}
			same(t, "key", r.Key, m.Key)
			same(t, "value", r.Value, m.Value)
			if len(r.Headers) != len(m.Headers) {
				t.Fatalf("record %d has %d headers, want %d", i, len(r.Headers), len(m.Headers))
			}
			for j, h := range r.Headers {
				if h.Key != m.Headers[j].Key || !bytes.Equal(h.Value, m.Headers[j].Value) {
					t.Errorf("header %d of record %d is %v, want %v", j, i, h, m.Headers[j])
				}
			}
		}
		if _, err := decoded.Records.ReadRecord(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last record comes %v", err)
		}
	})
}

func same(t *rapid.T, what string, got protocol.Bytes, want []byte) {
	all, err := protocol.ReadAll(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(all, want) || (got == nil) != (want == nil) {
		t.Errorf("the %s is %x, want %x", what, all, want)
	}
}

func TestVarintLenIsWhatIsWritten(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 8191, 8192, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		if got, want := varintLen(v), len(binary.AppendVarint(nil, v)); got != want {
			t.Errorf("varintLen(%d) = %d, want %d", v, got, want)
		}
	}
}
