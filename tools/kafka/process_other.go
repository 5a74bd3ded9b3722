//go:build !linux

package kafka

import "syscall"

// apart starts a broker in a session of its own, so that Ctrl-C does not reach it. Only Linux ends one that is owned when its
// owner crashes.
func apart(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
