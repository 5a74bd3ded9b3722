package chdb

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// The engine writes every part of a streamed answer as if it were a whole one. Of most formats the parts, one behind the other, are therefore
// no answer: JSON would be several documents, Parquet several files.

// plain are formats of rows alone: nothing stands before, between or behind them.
var plain = []string{ //nolint:gochecknoglobals // read only
	"Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "CSV", "JSONEachRow", "JSONLines", "JSONL", "NDJSON", "JSONStringsEachRow",
	"JSONCompactEachRow", "JSONCompactStringsEachRow", "RowBinary", "TSKV", "LineAsString", "MsgPack", "BSONEachRow", "RawBLOB", "Null",
}

// headed are formats of rows behind a head that names the columns, once each for names and types.
var headed = []string{"TabSeparated", "TSV", "CSV", "JSONCompactEachRow", "JSONCompactStringsEachRow", "RowBinary"} //nolint:gochecknoglobals // read only

// streams tells whether an answer in a format can be streamed, and how many heads each part of it has.
func streams(format string) (heads int, ok bool) {
	if slices.Contains(plain, format) {
		return 0, true
	}
	rows, both := strings.CutSuffix(format, "WithNamesAndTypes")
	if both {
		return 2, slices.Contains(headed, rows)
	}
	rows, names := strings.CutSuffix(format, "WithNames")
	return 1, names && slices.Contains(headed, rows)
}

// head is what stands before the rows of a part.
func head(format string, heads int, part []byte) []byte {
	if heads == 0 {
		return nil
	}
	if strings.HasPrefix(format, "RowBinary") {
		return part[:binaryHead(heads, part)]
	}
	end, quoted := 0, false
	for ; heads > 0 && end < len(part); end++ {
		switch part[end] {
		case '"':
			quoted = !quoted && strings.HasPrefix(format, "CSV") // a name may hold an end of line
		case '\n':
			if !quoted {
				heads--
			}
		}
	}
	return part[:end]
}

// binaryHead is the length of a number of columns and of that many strings for each head.
func binaryHead(heads int, part []byte) int {
	columns, at := binary.Uvarint(part)
	if at <= 0 {
		return 0
	}
	for range columns * uint64(heads) {
		n, width := binary.Uvarint(part[at:])
		if width <= 0 || n > uint64(len(part)-at-width) {
			return 0
		}
		at += width + int(n)
	}
	return at
}

// parts joins the parts of a streamed answer to a whole one.
type parts struct {
	format string
	heads  int
	head   []byte
	begun  bool
}

// next is what a part adds to the answer.
func (p *parts) next(part []byte) []byte {
	if !p.begun {
		p.begun = true
		p.head = bytes.Clone(head(p.format, p.heads, part))
		return part
	}
	return bytes.TrimPrefix(part, p.head)
}
