//nolint:gosec // memory of C is what this file is about
package chdb

import (
	"syscall"
	"unsafe"
)

// engineSignals are those whose handlers a library of this kind may replace: when it is told to leave signals alone, and on some ways of
// connecting. Without Go's own handlers a nil pointer in the handler of a request would end the process instead of that request.
var engineSignals = [...]int32{ //nolint:gochecknoglobals // read only
	int32(syscall.SIGABRT), int32(syscall.SIGSEGV), int32(syscall.SIGILL), int32(syscall.SIGBUS), int32(syscall.SIGSYS), int32(syscall.SIGFPE), int32(syscall.SIGTSTP),
	int32(syscall.SIGTRAP), int32(syscall.SIGTERM), int32(syscall.SIGINT), int32(syscall.SIGQUIT), int32(syscall.SIGPIPE), int32(syscall.SIGHUP), int32(syscall.SIGUSR1), int32(syscall.SIGUSR2),
}

// disposition holds any system's struct sigaction, so that its layout need not be known.
type disposition [256]byte

// keepSignals calls f and puts back the handlers that it changed.
func (e *engine) keepSignals(f func()) {
	e.signals.Lock()
	defer e.signals.Unlock()
	if e.sigaction == nil {
		f()
		return
	}
	before := new([len(engineSignals)]disposition)
	for i, signal := range engineSignals {
		e.sigaction(signal, nil, unsafe.Pointer(&before[i]))
	}
	f()
	after := new(disposition)
	for i, signal := range engineSignals {
		*after = disposition{}
		e.sigaction(signal, nil, unsafe.Pointer(after))
		if *after != before[i] {
			e.sigaction(signal, unsafe.Pointer(&before[i]), nil)
		}
	}
}
