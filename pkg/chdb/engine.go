//nolint:gosec // memory of C is what this file is about
package chdb

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// engine is the loaded library and its one running engine. A process has one at most: the library refuses a second path, and a closed
// engine cannot be opened again.
type engine struct {
	api    api
	path   string
	config string
	// signals guards the moments in which connecting may change the process's signal handlers, which sigaction of the C library puts back.
	signals   sync.Mutex
	sigaction func(signal int32, set, old unsafe.Pointer) int32
	keeper    *conn
}

// api are the C functions of libchdb 26.7.3 that are used. Handles are opaque.
type api struct {
	version      func() string
	setSignals   func(enabled int32)
	connect      func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn    func(conn unsafe.Pointer)
	classify     func(conn, sql unsafe.Pointer, n uintptr, db unsafe.Pointer, dbLen uintptr, out unsafe.Pointer) int32
	query        func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	stream       func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	fetch        func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancel       func(conn, stream unsafe.Pointer)
	destroy      func(result unsafe.Pointer)
	insert       func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	appendData   func(stream, data unsafe.Pointer, n uintptr) int32
	done         func(stream unsafe.Pointer) unsafe.Pointer
	cancelInsert func(stream unsafe.Pointer)
	insertError  func(stream unsafe.Pointer) unsafe.Pointer
	freeInsert   func(stream unsafe.Pointer)
	buffer       func(result unsafe.Pointer) unsafe.Pointer
	length       func(result unsafe.Pointer) uintptr
	failure      func(result unsafe.Pointer) unsafe.Pointer
	rowsRead     func(result unsafe.Pointer) uint64
	readRows     func(result unsafe.Pointer) uint64
	readBytes    func(result unsafe.Pointer) uint64
	writtenRows  func(result unsafe.Pointer) uint64
	writtenBytes func(result unsafe.Pointer) uint64
}

// load opens the shared library and finds its functions.
func load(library string) (*engine, error) {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("chdb: load %s: %w", library, err)
	}
	e := &engine{}
	if symbol, err := purego.Dlsym(purego.RTLD_DEFAULT, "sigaction"); err == nil {
		purego.RegisterFunc(&e.sigaction, symbol)
	}
	for name, function := range map[string]any{
		"chdb_version":                     &e.api.version,
		"chdb_set_signal_handlers_enabled": &e.api.setSignals,
		"chdb_connect":                     &e.api.connect,
		"chdb_close_conn":                  &e.api.closeConn,
		"chdb_classify_query_n":            &e.api.classify,
		"chdb_query_with_params_n":         &e.api.query,
		"chdb_stream_query_with_params_n":  &e.api.stream,
		"chdb_stream_fetch_result":         &e.api.fetch,
		"chdb_stream_cancel_query":         &e.api.cancel,
		"chdb_destroy_query_result":        &e.api.destroy,
		"chdb_stream_insert_with_params_n": &e.api.insert,
		"chdb_stream_append":               &e.api.appendData,
		"chdb_stream_done":                 &e.api.done,
		"chdb_stream_cancel_insert":        &e.api.cancelInsert,
		"chdb_stream_insert_error":         &e.api.insertError,
		"chdb_destroy_insert_stream":       &e.api.freeInsert,
		"chdb_result_buffer":               &e.api.buffer,
		"chdb_result_length":               &e.api.length,
		"chdb_result_error":                &e.api.failure,
		"chdb_result_rows_read":            &e.api.rowsRead,
		"chdb_result_storage_rows_read":    &e.api.readRows,
		"chdb_result_storage_bytes_read":   &e.api.readBytes,
		"chdb_result_rows_written":         &e.api.writtenRows,
		"chdb_result_bytes_written":        &e.api.writtenBytes,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("chdb: %s is not the library of version %s: it has no %s: %w", library, Version, name, err)
		}
		purego.RegisterFunc(function, symbol)
	}
	if got := e.api.version(); !strings.HasPrefix(Version, got) {
		return nil, fmt.Errorf("chdb: %s has version %s, not %s", library, got, Version)
	}
	return e, nil
}

// open starts the engine on a directory with a config file, and keeps one connection until close, since closing the last one ends the engine.
func (e *engine) open(path, config string) error {
	e.path, e.config = path, config
	e.keepSignals(func() { e.api.setSignals(0) })
	keeper, err := e.connect(nil)
	if err != nil {
		return err
	}
	e.keeper = keeper
	return nil
}

// close ends the engine: closing the last connection writes what is in memory and stops it. No connection may be in use, and the process should
// end afterwards.
func (e *engine) close() {
	e.keeper.close()
	e.keeper = nil
}

// setting is a name and a value as ClickHouse spells it.
type setting struct{ name, value string }

// conn is one connection. It runs one query at a time.
type conn struct {
	e      *engine
	handle unsafe.Pointer // chdb_connection *, that is, a pointer to the handle that queries take
}

// errConnect means that the engine gave no connection and no reason, as it does for a bad config, a directory that another process
// holds, and a value that a setting cannot have.
var errConnect = errors.New("chdb: the engine refused to connect")

// connect opens a connection with settings. The names must be known ones: the engine ignores others without a word.
func (e *engine) connect(settings []setting) (*conn, error) {
	args := make([]string, 0, 3+len(settings))
	args = append(args, "clickhouse", "--path="+e.path, "--config-file="+e.config)
	for _, s := range settings {
		args = append(args, "--"+s.name+"="+s.value)
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]*byte, len(args)+1)
	for i, arg := range args {
		if strings.IndexByte(arg, 0) >= 0 {
			return nil, fmt.Errorf("chdb: connect: %q holds a zero byte", arg)
		}
		argv[i] = &append([]byte(arg), 0)[0]
		pin.Pin(argv[i])
	}
	pin.Pin(&argv[0])
	var handle unsafe.Pointer
	e.keepSignals(func() { handle = e.api.connect(int32(len(args)), unsafe.Pointer(&argv[0])) })
	if handle == nil {
		return nil, errConnect
	}
	return &conn{e: e, handle: handle}, nil
}

// close ends the connection. No call on it may be running.
func (c *conn) close() {
	c.e.api.closeConn(c.handle)
	c.handle = nil
}

func (c *conn) raw() unsafe.Pointer { return *(*unsafe.Pointer)(c.handle) }

// What the engine's own parser says about a statement.
const (
	classRead    = 0 // leaves no trace
	classWrite   = 1 // changes a database
	classGlobal  = 2 // changes functions, users, named collections
	classControl = 3 // of the session or the server, or writing outside the engine
	classUnknown = 4 // is no statement
)

// classify tells what a text would do, by the engine's own parser, and how many statements it has.
func (c *conn) classify(sql string) (class, statements uint32) {
	analysis := [4]uint32{uint32(unsafe.Sizeof([4]uint32{})), 0, 0, classUnknown}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&analysis)
	text := pinned(&pin, sql)
	if c.e.api.classify(c.raw(), text, uintptr(len(sql)), nil, 0, unsafe.Pointer(&analysis)) != 0 {
		return classUnknown, 0
	}
	return analysis[3], analysis[1]
}

// stats are the counts that a query reports.
type stats struct {
	resultRows, readRows, readBytes, writtenRows, writtenBytes uint64
}

func (s *stats) add(o stats) {
	s.resultRows += o.resultRows
	s.readRows += o.readRows
	s.readBytes += o.readBytes
	s.writtenRows += o.writtenRows
	s.writtenBytes += o.writtenBytes
}

// result is what a query gave, in memory of the library until it is freed.
type result struct {
	e      *engine
	handle unsafe.Pointer
}

func (r result) free() { r.e.api.destroy(r.handle) }

// bytes are valid until free.
func (r result) bytes() []byte {
	n := r.e.api.length(r.handle)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.e.api.buffer(r.handle)), n)
}

func (r result) stats() stats {
	return stats{
		resultRows: r.e.api.rowsRead(r.handle), readRows: r.e.api.readRows(r.handle), readBytes: r.e.api.readBytes(r.handle),
		writtenRows: r.e.api.writtenRows(r.handle), writtenBytes: r.e.api.writtenBytes(r.handle),
	}
}

func (r result) err() error { return exceptionOf(cString(r.e.api.failure(r.handle))) }

// query runs a statement to its end and holds the whole answer in memory.
func (c *conn) query(sql, format string, params []setting) (result, error) {
	return c.run(c.e.api.query, sql, format, params)
}

// stream starts a SELECT. Its parts come from fetch; end must be called.
func (c *conn) stream(sql, format string, params []setting) (result, error) {
	return c.run(c.e.api.stream, sql, format, params)
}

type runFunc func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer

func (c *conn) run(f runFunc, sql, format string, params []setting) (result, error) {
	r := result{c.e, c.call(f, sql, format, params)}
	if r.handle == nil {
		return r, errors.New("chdb: the engine gave no result")
	}
	if err := r.err(); err != nil {
		r.free()
		return result{}, err
	}
	return r, nil
}

func (c *conn) call(f runFunc, sql, format string, params []setting) unsafe.Pointer {
	var pin runtime.Pinner
	defer pin.Unpin()
	var names, nameLens, values, valueLens unsafe.Pointer
	if n := len(params); n > 0 {
		ns, nls, vs, vls := make([]unsafe.Pointer, n), make([]uintptr, n), make([]unsafe.Pointer, n), make([]uintptr, n)
		for i, p := range params {
			ns[i], nls[i] = pinned(&pin, p.name), uintptr(len(p.name))
			vs[i], vls[i] = pinned(&pin, p.value+"\x00"), uintptr(len(p.value)) // an empty value needs a place, too
		}
		pin.Pin(&ns[0])
		pin.Pin(&nls[0])
		pin.Pin(&vs[0])
		pin.Pin(&vls[0])
		names, nameLens, values, valueLens = unsafe.Pointer(&ns[0]), unsafe.Pointer(&nls[0]), unsafe.Pointer(&vs[0]), unsafe.Pointer(&vls[0])
	}
	return f(c.raw(), pinned(&pin, sql), uintptr(len(sql)), pinned(&pin, format), uintptr(len(format)), names, nameLens, values, valueLens, uintptr(len(params)))
}

// fetch gives the next part of a stream; one without bytes is the end.
func (c *conn) fetch(stream result) (result, error) {
	r := result{c.e, c.e.api.fetch(c.raw(), stream.handle)}
	if r.handle == nil {
		return r, errors.New("chdb: the engine gave no result")
	}
	if err := r.err(); err != nil {
		r.free()
		return result{}, err
	}
	return r, nil
}

// cancel ends a stream before its end.
func (c *conn) cancel(stream result) { c.e.api.cancel(c.raw(), stream.handle) }

// inserting is an INSERT whose data is being handed over.
type inserting struct {
	e      *engine
	handle unsafe.Pointer
}

// insert starts an INSERT. The statement must have neither FORMAT nor data.
func (c *conn) insert(sql, format string, params []setting) (*inserting, error) {
	in := &inserting{c.e, c.call(c.e.api.insert, sql, format, params)}
	if err := in.err(); err != nil {
		c.e.api.freeInsert(in.handle)
		return nil, err
	}
	return in, nil
}

func (in *inserting) err() error { return exceptionOf(cString(in.e.api.insertError(in.handle))) }

// Write hands data over; the engine copies it. It waits while the engine is behind.
func (in *inserting) Write(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	if in.e.api.appendData(in.handle, unsafe.Pointer(&data[0]), uintptr(len(data))) != 0 {
		return 0, errInsertFailed
	}
	return len(data), nil
}

// errInsertFailed means that the engine wants no more data; finish tells why.
var errInsertFailed = errors.New("chdb: the insert failed")

// finish commits what was handed over and ends the insert.
func (in *inserting) finish() (stats, error) {
	r := result{in.e, in.e.api.done(in.handle)}
	defer in.e.api.freeInsert(in.handle)
	if r.handle == nil {
		return stats{}, errors.New("chdb: the engine gave no result")
	}
	defer r.free()
	if err := r.err(); err != nil {
		return stats{}, err
	}
	return r.stats(), nil
}

// abandon ends the insert without the block that is not complete.
func (in *inserting) abandon() {
	in.e.api.cancelInsert(in.handle)
	in.e.api.freeInsert(in.handle)
}

func pinned(pin *runtime.Pinner, s string) unsafe.Pointer {
	if s == "" {
		return nil
	}
	p := unsafe.StringData(s)
	pin.Pin(p)
	return unsafe.Pointer(p)
}

func cString(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
