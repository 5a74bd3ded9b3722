//go:build !linux

package pgtest

import "syscall"

func owned(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setsid: true}
}

// children is empty: those of a server that is gone end by themselves.
func children(int) []int { return nil }
