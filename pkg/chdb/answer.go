package chdb

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// spoolMemory is what an answer that is held until its end may take in memory; the rest is in a file.
const spoolMemory = 8 << 20

// answer is what a request gets. Nothing is sent before the first rows are there, so that what fails until then gets its own status.
type answer struct {
	w       http.ResponseWriter
	begin   time.Time
	dir     string // for what is held until its end
	queryID string
	tag     string
	format  string
	// How the rows are compressed: in ClickHouse's own blocks, or the whole by a content coding.
	framed   bool
	frames   compress.Method
	coding   string
	hold     bool
	stats    stats
	started  bool
	rows     io.Writer
	finish   func() error
	memory   bytes.Buffer
	file     *os.File
	timezone string
}

// write sends rows. The bytes may be of the engine's memory: they are not kept.
func (a *answer) write(rows []byte) error {
	if a.hold {
		return a.spool(rows)
	}
	if err := a.start(); err != nil {
		return err
	}
	control := http.NewResponseController(a.w)
	_ = control.SetWriteDeadline(time.Now().Add(patience)) // a writer without deadlines has no patience to lose
	if _, err := a.rows.Write(rows); err != nil {
		return err
	}
	return control.Flush()
}

func (a *answer) spool(rows []byte) error {
	if a.file == nil && a.memory.Len()+len(rows) <= spoolMemory {
		a.memory.Write(rows)
		return nil
	}
	if a.file == nil {
		file, err := os.CreateTemp(a.dir, "answer-")
		if err != nil {
			return fmt.Errorf("chdb: hold the answer: %w", err)
		}
		a.file = file
		if err := os.Remove(file.Name()); err != nil {
			return fmt.Errorf("chdb: hold the answer: %w", err)
		}
		if _, err := a.memory.WriteTo(file); err != nil {
			return fmt.Errorf("chdb: hold the answer: %w", err)
		}
	}
	if _, err := a.file.Write(rows); err != nil {
		return fmt.Errorf("chdb: hold the answer: %w", err)
	}
	return nil
}

// start sends the head of an answer that is no failure.
func (a *answer) start() error {
	if a.started {
		return nil
	}
	a.started = true
	h := a.w.Header()
	h.Set("Content-Type", contentType(a.format))
	if a.format != "" {
		h.Set("X-ClickHouse-Format", a.format)
	}
	h.Set("X-ClickHouse-Timezone", a.timezone)
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	h.Set("X-ClickHouse-Summary", a.summary())
	a.rows, a.finish = a.w, func() error { return nil }
	var closer io.WriteCloser
	switch {
	case a.framed:
		a.rows = &frameWriter{w: a.w, c: compress.NewWriter(compress.LevelZero, a.frames)}
	case a.coding == "gzip":
		w, err := gzip.NewWriterLevel(a.w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		closer = w
	case a.coding == "deflate":
		w, err := zlib.NewWriterLevel(a.w, zlib.BestSpeed)
		if err != nil {
			return err
		}
		closer = w
	case a.coding == "br":
		closer = brotli.NewWriterLevel(a.w, 3)
	case a.coding == "zstd":
		w, err := zstd.NewWriter(a.w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		closer = w
	case a.coding == "lz4":
		closer = lz4.NewWriter(a.w)
	}
	if closer != nil {
		h.Set("Content-Encoding", a.coding)
		a.rows, a.finish = closer, closer.Close
	}
	return nil
}

// end sends what is held and the end of the answer.
func (a *answer) end() error {
	empty := !a.started && (!a.hold || a.file == nil && a.memory.Len() == 0)
	if empty {
		a.coding, a.framed = "", false
	}
	if err := a.start(); err != nil {
		return err
	}
	if a.hold {
		if _, err := a.memory.WriteTo(a.rows); err != nil {
			return err
		}
		if a.file != nil {
			if _, err := a.file.Seek(0, io.SeekStart); err != nil {
				return err
			}
			if _, err := io.Copy(a.rows, a.file); err != nil {
				return err
			}
		}
	}
	if empty {
		a.w.Header().Set("Content-Length", "0")
		a.w.WriteHeader(http.StatusOK)
	}
	return a.finish()
}

// release drops what is held, and leaves the connection to the next request as it was.
func (a *answer) release() {
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Time{}) // where one could be set, it can be unset
	if a.file != nil {
		_ = a.file.Close() // it is deleted, and read or not wanted
	}
}

// fail sends an exception: as the status and the text of the answer if nothing has been sent, else in a frame after the rows, outside ClickHouse's
// compressed blocks. Then the connection is cut, lest anybody takes the rows for all there are.
func (a *answer) fail(e *exceptionError) {
	if !a.started {
		h := a.w.Header()
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		h.Set("X-ClickHouse-Timezone", a.timezone)
		status := httpStatus(e.Code)
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Basic realm="ClickHouse"`)
		}
		a.w.WriteHeader(status)
		_, _ = io.WriteString(a.w, e.Message+"\n") //nolint:gosec // plain text, and who has gone does not want it
		return
	}
	message := e.Message
	if len(message) > 15<<10 {
		message = message[:15<<10]
	}
	frame := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, message, len(message)+1, a.tag)
	out := a.rows
	if a.framed {
		out = a.w
	}
	_, err := io.WriteString(out, frame)
	if err == nil {
		err = a.finish()
	}
	if err == nil {
		_ = http.NewResponseController(a.w).Flush() // what follows cuts the connection anyway
	}
	panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http cuts a connection
}

func (a *answer) summary() string {
	n := func(v uint64) string { return strconv.FormatUint(v, 10) }
	text, err := json.Marshal(map[string]string{
		"read_rows": n(a.stats.readRows), "read_bytes": n(a.stats.readBytes), "written_rows": n(a.stats.writtenRows), "written_bytes": n(a.stats.writtenBytes),
		"total_rows_to_read": "0", "result_rows": n(a.stats.resultRows), "result_bytes": "0", "elapsed_ns": strconv.FormatInt(time.Since(a.begin).Nanoseconds(), 10),
	})
	if err != nil {
		return "{}"
	}
	return string(text)
}

// frameWriter writes ClickHouse's compressed blocks.
type frameWriter struct {
	w io.Writer
	c *compress.Writer
}

func (f *frameWriter) Write(p []byte) (int, error) {
	const most = 1 << 20
	for n := 0; n < len(p); n += most {
		if err := f.c.Compress(p[n:min(n+most, len(p))]); err != nil {
			return n, err
		}
		if _, err := f.w.Write(f.c.Data); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=" + map[bool]string{true: "present", false: "absent"}[strings.Contains(format, "WithNames")]
	case format == "JSONEachRow", strings.HasPrefix(format, "JSONCompactEachRow"), format == "JSONLines", format == "NDJSON":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case format == "XML":
		return "application/xml; charset=UTF-8"
	case format == "Native", strings.HasPrefix(format, "RowBinary"), format == "Parquet", strings.HasPrefix(format, "Arrow"), format == "ORC", format == "Avro":
		return "application/octet-stream"
	default:
		return "text/plain; charset=UTF-8"
	}
}

// randomName is 16 characters of chance.
func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
