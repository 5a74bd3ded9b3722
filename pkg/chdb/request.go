package chdb

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// maxText is what a statement may have without the rows of an INSERT.
const maxText = 64 << 20

// request is what a client asks.
type request struct {
	values   url.Values
	header   http.Header
	query    string // of the parameter; the body follows it
	body     io.Reader
	parts    *multipart.Reader // external tables and the query, if the body is a form
	settings []setting
	params   []setting
	format   string
}

// reserved are the parameters of the HTTP interface that are no settings.
var reserved = []string{ //nolint:gochecknoglobals // read only
	"query", "database", "default_format", "user", "password", "quota_key", "query_id", "session_id", "session_timeout", "session_check", "close_session", "compress", "decompress",
	"client_protocol_version", "role", "stacktrace", "buffer_size", "wait_end_of_query", "http_method", "async", "client_name",
}

func readRequest(r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(codeBadArguments, "the parameters cannot be read: %v", err)
	}
	q := &request{values: values, header: r.Header, query: values.Get("query"), format: values.Get("default_format")}
	if q.format == "" {
		q.format = r.Header.Get("X-ClickHouse-Format")
	}
	if q.format == "" {
		q.format = "TabSeparated"
	}
	if !identifier.MatchString(q.format) {
		return nil, refuse(codeUnknownFormat, "Unknown format %s", q.format)
	}
	if q.body, err = decoded(r); err != nil {
		return nil, err
	}
	kind, attributes, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "multipart/form-data" {
		q.parts = multipart.NewReader(q.body, attributes["boundary"])
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		q.add(name, values.Get(name))
	}
	return q, nil
}

// add files a parameter under what it is.
func (q *request) add(name, value string) {
	param, isParam := strings.CutPrefix(name, "param_")
	switch {
	case isParam:
		q.params = append(q.params, setting{param, value})
	case slices.Contains(reserved, name), q.parts != nil && isTableParameter(name):
	default:
		q.settings = append(q.settings, setting{name, value})
	}
}

func isTableParameter(name string) bool {
	return strings.HasSuffix(name, "_format") || strings.HasSuffix(name, "_structure") || strings.HasSuffix(name, "_types")
}

// decoded reads the body without its content coding and ClickHouse's compressed blocks.
func decoded(r *http.Request) (io.Reader, error) {
	var body io.Reader = r.Body
	if body == nil {
		body = bytes.NewReader(nil)
	}
	var err error
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
	case "gzip", "x-gzip":
		body = &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(r.Body) }}
	case "deflate":
		body = &lazyReader{open: func() (io.Reader, error) { return zlib.NewReader(r.Body) }}
	case "br":
		body = brotli.NewReader(r.Body)
	case "zstd":
		body, err = zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	case "lz4":
		body = lz4.NewReader(r.Body)
	default:
		return nil, refuse(codeUnknownCompression, "Unknown Content-Encoding %s: gzip, deflate, br, zstd and lz4 are known", coding)
	}
	if err != nil {
		return nil, refuse(codeCannotDecompress, "the body cannot be decompressed: %v", err)
	}
	if isOn(r.URL.Query().Get("decompress")) {
		body = compress.NewReader(body)
	}
	return body, nil
}

// lazyReader begins to read at the first Read.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

func isOn(value string) bool { return value == "1" || strings.EqualFold(value, "true") }

// answerAs says how the answer is to be compressed and whether it is held until its end.
func (q *request) answerAs(a *answer) error {
	a.format = q.format
	a.hold = isOn(q.values.Get("wait_end_of_query"))
	if isOn(q.values.Get("compress")) {
		a.framed = true
		switch method := strings.ToUpper(q.values.Get("network_compression_method")); method {
		case "", "LZ4", "LZ4HC":
			a.frames = compress.LZ4
		case "ZSTD":
			a.frames = compress.ZSTD
		case "NONE":
			a.frames = compress.None
		default:
			return refuse(codeUnknownCompression, "Unknown network_compression_method %s", method)
		}
		return nil
	}
	if value := q.values.Get("enable_http_compression"); value != "" && !isOn(value) {
		return nil
	}
	a.coding = chooseCoding(q.header.Get("Accept-Encoding"))
	return nil
}

// chooseCoding takes the first content coding in the server's order that the client accepts.
func chooseCoding(accept string) string {
	accepted := map[string]bool{}
	for part := range strings.SplitSeq(accept, ",") {
		name, quality, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		quality = strings.ReplaceAll(quality, " ", "")
		accepted[strings.TrimSpace(name)] = quality != "q=0" && quality != "q=0.0" && quality != "q=0.00" && quality != "q=0.000"
	}
	for _, coding := range []string{"br", "lz4", "zstd", "gzip", "deflate"} {
		if accepted[coding] {
			return coding
		}
	}
	return ""
}

// text reads the statement: the parameter query, then the body. For an INSERT with rows it reads the head only and gives the rest as rows.
func (q *request) text() (sql string, head insertHead, rows io.Reader, err error) {
	text := q.query
	if text != "" {
		text += "\n"
		if head, found, more := parseInsert(text); found && !more {
			return text, head, io.MultiReader(strings.NewReader(text[head.data:]), q.body), nil
		}
	}
	buffer := []byte(text)
	for size := 64 << 10; ; size *= 8 {
		n, end, err := fill(&buffer, q.body, size)
		if err != nil {
			return "", insertHead{}, nil, err
		}
		head, found, more := parseInsert(string(buffer))
		if found && (!more || end) {
			return string(buffer), head, io.MultiReader(bytes.NewReader(buffer[head.data:]), q.body), nil
		}
		if end {
			return string(buffer), insertHead{}, nil, nil
		}
		if n > maxText {
			return "", insertHead{}, nil, refuse(codeQueryTooLarge, "the query has more than %d bytes", maxText)
		}
	}
}

// fill reads until the buffer has size bytes.
func fill(buffer *[]byte, r io.Reader, size int) (n int, end bool, err error) {
	if missing := size - len(*buffer); missing > 0 {
		more := make([]byte, missing)
		n, err := io.ReadFull(r, more)
		*buffer = append(*buffer, more[:n]...)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n < missing {
			return len(*buffer), true, bodyError(err, r)
		}
		if err != nil {
			return 0, false, refuse(codeCannotRead, "the body cannot be read: %v", err)
		}
	}
	return len(*buffer), false, nil
}

// bodyError tells the end of a body from a body that was cut off, which io.ReadFull gives the same name.
func bodyError(err error, r io.Reader) error {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	if _, err := r.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return refuse(codeCannotRead, "the body cannot be read: %v", err)
	}
	return nil
}
