package kafka

import "syscall"

// apart starts a broker in a session of its own, so that Ctrl-C does not reach it. One that is owned ends with the thread
// that started it.
func apart(owned bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if owned {
		attr.Pdeathsig = syscall.SIGKILL
	}
	return attr
}
