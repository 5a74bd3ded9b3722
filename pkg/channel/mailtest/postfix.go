package mailtest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/skein-cx/skein/pkg/freeport"
)

// Postfix is a mail server that takes mails by SMTP from this machine and hands all of them on by LMTP. Postfix's own
// supervisor demands to be started by root, and its daemons give up root's rights themselves.
type Postfix struct {
	// SMTP is where it takes mails.
	SMTP string
}

// StartPostfix starts one that delivers to an LMTP server. It needs root, and skips the test without.
func StartPostfix(tb testing.TB, lmtp string) *Postfix {
	tb.Helper()
	for _, needed := range []string{"/usr/sbin/postfix", "/usr/lib/postfix/sbin/master"} {
		if _, err := os.Stat(needed); err != nil {
			missing(tb, "Postfix (postfix)")
		}
	}
	if os.Getuid() != 0 {
		missing(tb, "the right to start Postfix, whose master runs as root only,")
	}
	who, err := user.Lookup("postfix")
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "postfix") //nolint:usetesting // its daemons must get there
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &Postfix{SMTP: freeport.Addr(tb)}
	for _, d := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	own(tb, filepath.Join(dir, "data"), who)
	conf := strings.NewReplacer("DIR", dir, "LMTP", "inet:"+strings.Replace(lmtp, "127.0.0.1:", "[127.0.0.1]:", 1), "SMTP", p.SMTP)
	for name, text := range map[string]string{"main.cf": postfixMain, "master.cf": postfixMaster} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(conf.Replace(text)), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	run := func(args ...string) *exec.Cmd {
		return exec.Command("/usr/sbin/postfix", append([]string{"-c", filepath.Join(dir, "etc")}, args...)...)
	}
	if out, err := run("check").CombinedOutput(); err != nil {
		tb.Fatalf("postfix check: %v\n%s", err, out)
	}
	command := run("start-fg")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }() // stopped, as a rule
	tb.Cleanup(func() {
		_ = run("abort").Run()
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // fails only where it is gone
		<-ended
		_ = log.Close()
		if tb.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil {
				tb.Logf("Postfix's log ends with:\n%s", text[max(0, len(text)-3000):])
			}
		}
	})
	await(tb, p.SMTP, ended, log.Name())
	return p
}

const postfixMain = `
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = /dev/stdout
myhostname = mx.lumen.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
relay_domains =
default_transport = lmtp:LMTP
relay_transport = lmtp:LMTP
lmtp_destination_concurrency_limit = 5
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
message_size_limit = 50000000
`

const postfixMaster = `
SMTP inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
smtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
showq unix n - n - - showq
`
