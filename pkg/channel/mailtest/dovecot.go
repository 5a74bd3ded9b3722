// Package mailtest runs real mail servers for tests: Dovecot and Postfix, each in a directory of its own, on loopback ports, as a
// user without rights. It touches no other server of the machine. make mailservers installs what it needs.
package mailtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/freeport"
)

// Password is every user's.
const Password = "secret-of-the-tests"

// Dovecot is an IMAP server whose mailboxes are filled by LMTP or by IMAP itself. It knows every user.
type Dovecot struct {
	// IMAP offers STARTTLS, IMAPS is encrypted from the first byte, LMTP takes mails in.
	IMAP, IMAPS, LMTP string
	// CAFile has the authority of the certificate, which is 127.0.0.1's.
	CAFile string

	dir     string
	command *exec.Cmd
	ended   chan struct{}
}

// Required tells whether the environment says that nothing that a test needs may be missing.
func Required() bool {
	return slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "mailservers" })
}

// missing skips a test, or fails it where the environment says that the programs must be there.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if Required() {
		tb.Fatalf("%s is not here: make mailservers installs it", what)
	}
	tb.Skipf("skipped: %s is not here (make mailservers installs it; SKEIN_REQUIRE=mailservers makes this a failure)", what)
}

// owner is who runs the servers: nobody where the tests run as root, because Dovecot gives root no mailbox.
func owner(tb testing.TB) *user.User {
	tb.Helper()
	u, err := user.Current()
	if err == nil && u.Uid == "0" {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// home makes a directory that belongs to the owner, and goes with the test. Paths of sockets must be short.
func home(tb testing.TB, who *user.User) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "mail") //nolint:usetesting // the test's own lies in one that others may not enter, and its name is long
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	own(tb, dir, who)
	return dir
}

func own(tb testing.TB, path string, who *user.User) {
	tb.Helper()
	uid, errU := strconv.Atoi(who.Uid)
	gid, errG := strconv.Atoi(who.Gid)
	if errU != nil || errG != nil || os.Getuid() == 0 && os.Chown(path, uid, gid) != nil {
		tb.Fatalf("cannot give %s to %s", path, who.Username)
	}
}

// as makes a command run as a user, in a process group of its own, which ends with the test's process.
func as(command *exec.Cmd, who *user.User) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		uid, _ := strconv.ParseUint(who.Uid, 10, 32) // own has checked them
		gid, _ := strconv.ParseUint(who.Gid, 10, 32)
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
}

func write(tb testing.TB, path, text string, who *user.User) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	own(tb, path, who)
}

// StartDovecot starts one. Further lines of configuration (of Dovecot 2.3) may follow.
func StartDovecot(tb testing.TB, more ...string) *Dovecot {
	tb.Helper()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		program = "/usr/sbin/dovecot"
	}
	for _, needed := range []string{program, "/usr/lib/dovecot/imap", "/usr/lib/dovecot/lmtp"} {
		if _, err := os.Stat(needed); err != nil {
			missing(tb, "Dovecot (dovecot-imapd, dovecot-lmtpd)")
		}
	}
	if version, err := exec.Command(program, "--version").Output(); err != nil || !strings.HasPrefix(string(version), "2.3.") {
		missing(tb, fmt.Sprintf("Dovecot 2.3 (%.20q is another, with another configuration)", version))
	}
	who := owner(tb)
	d := &Dovecot{dir: home(tb, who), IMAP: freeport.Addr(tb), IMAPS: freeport.Addr(tb), LMTP: freeport.Addr(tb)}
	certificate, key := certify(tb)
	d.CAFile = filepath.Join(d.dir, "ca.pem")
	write(tb, d.CAFile, certificate, who)
	write(tb, filepath.Join(d.dir, "key.pem"), key, who)
	group, err := user.LookupGroupId(who.Gid)
	if err != nil {
		tb.Fatal(err)
	}
	port := func(addr string) string { _, p, _ := net.SplitHostPort(addr); return p } // they are our own
	write(tb, filepath.Join(d.dir, "dovecot.conf"), strings.NewReplacer("DIR", d.dir, "USER", who.Username, "GROUP", group.Name, "PASSWORD", Password,
		"IMAPPORT", port(d.IMAP), "IMAPSPORT", port(d.IMAPS), "LMTPPORT", port(d.LMTP)).Replace(strings.Replace(dovecotConf, "MORE", strings.Join(more, "\n"), 1)), who)
	d.command = exec.Command(program, "-F", "-c", filepath.Join(d.dir, "dovecot.conf"))
	as(d.command, who)
	d.start(tb)
	tb.Cleanup(func() {
		d.Kill()
		if tb.Failed() {
			if log, err := os.ReadFile(filepath.Join(d.dir, "log")); err == nil {
				tb.Logf("Dovecot's log ends with:\n%s", log[max(0, len(log)-3000):])
			}
		}
	})
	return d
}

const dovecotConf = `
base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/log
protocols = imap lmtp
listen = 127.0.0.1
instance_name = skein-test
default_internal_user = USER
default_internal_group = GROUP
default_login_user = USER
first_valid_uid = 1
first_valid_gid = 1
mail_uid = USER
mail_gid = GROUP
mail_location = maildir:DIR/mail/%u
mail_fsync = never
auth_username_chars =
auth_username_format = %n
ssl = yes
ssl_cert = <DIR/ca.pem
ssl_key = <DIR/key.pem
verbose_proctitle = no
login_trusted_networks =
mail_max_userip_connections = 100
protocol lmtp {
  lmtp_save_to_detail_mailbox = no
  postmaster_address = postmaster@localhost
}
passdb {
  driver = static
  args = password=PASSWORD
}
userdb {
  driver = static
  args = uid=USER gid=GROUP home=DIR/home/%u allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    auto = create
    special_use = \Sent
  }
  mailbox Junk {
    auto = create
    special_use = \Junk
  }
}
service imap-login {
  chroot =
  process_min_avail = 1
  inet_listener imap {
    port = IMAPPORT
  }
  inet_listener imaps {
    port = IMAPSPORT
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = LMTPPORT
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
MORE
`

func (d *Dovecot) start(tb testing.TB) {
	tb.Helper()
	if err := d.command.Start(); err != nil {
		tb.Fatalf("start Dovecot: %v", err)
	}
	d.ended = make(chan struct{})
	go func(c *exec.Cmd, ended chan struct{}) { _ = c.Wait(); close(ended) }(d.command, d.ended) // killed, as a rule
	for _, addr := range []string{d.IMAP, d.LMTP} {
		await(tb, addr, d.ended, filepath.Join(d.dir, "log"))
	}
}

// await waits until a server greets.
func await(tb testing.TB, addr string, ended <-chan struct{}, log string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
			if err == nil {
				return
			}
		}
		select {
		case <-ended:
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
			continue
		}
		text, _ := os.ReadFile(log) // else there is nothing to tell
		tb.Fatalf("the mail server at %s does not greet:\n%s", addr, text[max(0, len(text)-2000):])
	}
}

// Kill kills the server and everything that it runs.
func (d *Dovecot) Kill() {
	if d.command.Process == nil {
		return
	}
	_ = syscall.Kill(-d.command.Process.Pid, syscall.SIGKILL) // fails only where it is gone
	<-d.ended
}

// Restart kills the server, if it runs, and starts it again.
func (d *Dovecot) Restart(tb testing.TB) {
	tb.Helper()
	d.Kill()
	_ = os.RemoveAll(filepath.Join(d.dir, "run")) // the master's pid file among it
	again := exec.Command(d.command.Path, d.command.Args[1:]...)
	again.SysProcAttr = d.command.SysProcAttr
	d.command = again
	d.start(tb)
}

// certify makes a certificate of 127.0.0.1 and its key, in PEM.
func certify(tb testing.TB) (certificate, key string) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "skein test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		tb.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// Write puts a file into the server's directory, which is DIR in its configuration. Restart lets the server read it.
func (d *Dovecot) Write(tb testing.TB, name, text string) {
	tb.Helper()
	write(tb, filepath.Join(d.dir, name), text, owner(tb))
}
