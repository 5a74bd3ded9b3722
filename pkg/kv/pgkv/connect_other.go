//go:build !linux

package pgkv

import "syscall"

func userTimeout(string, string, syscall.RawConn) error { return nil }
