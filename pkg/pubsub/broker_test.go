package pubsub_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkatest"
	"github.com/skein-cx/skein/pkg/freeport"
)

// The test binary is also what it tests with: a broker in a process of its own, which can be killed, and the command by
// which Watermill's suite has it killed and started again.
const (
	brokerCommand  = "skein-test-broker"  // directory, address
	restartCommand = "skein-test-restart" // address of the test that owns the broker
)

func TestMain(m *testing.M) {
	commands := map[string]func([]string) error{brokerCommand: serveBroker, restartCommand: askForRestart}
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		if err := commands[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if !testing.Verbose() {
		log.SetOutput(troubles{})
	}
	os.Exit(m.Run())
}

// troubles keeps what Watermill's suite logs of messages that did not come, of thousands of lines of those that did.
type troubles struct{}

func (troubles) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(" not all messages ")) {
		return os.Stderr.Write(line)
	}
	return len(line), nil
}

// serveBroker runs a broker until standard input ends, as it does with the test.
func serveBroker(args []string) error {
	broker, err := embedded.Start(context.Background(), embedded.Config{Dir: args[0], Addr: args[1]})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, broker.Close())
}

func askForRestart(args []string) error {
	c, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err == nil && len(answer) > 0 {
		err = errors.New(string(answer))
	}
	return err
}

// cluster is where the tests' topics are.
type cluster struct {
	brokers []string
	restart []string // command that kills it and returns when it serves again
}

// onEach runs a test on a broker in a process of its own and on the real cluster.
func onEach(t *testing.T, test func(t *testing.T, c cluster)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, startCluster(t)) })
	t.Run("real", func(t *testing.T) {
		var c cluster
		c.brokers, c.restart = kafkatest.Killed(t)
		test(t, c)
	})
}

// startCluster starts a broker in a process of its own.
func startCluster(t *testing.T) cluster {
	t.Helper()
	b := &brokerProcess{dir: t.TempDir(), addr: freeport.Addr(t)}
	must(t, b.start())
	t.Cleanup(func() { b.kill() })
	control, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, control.Close()) })
	go b.obey(control)
	return cluster{brokers: []string{b.addr}, restart: []string{os.Args[0], restartCommand, control.Addr().String()}}
}

// brokerProcess is a broker in a process of its own.
type brokerProcess struct {
	dir, addr string

	mu  sync.Mutex
	cmd *exec.Cmd
}

func (b *brokerProcess) start() error {
	cmd := exec.Command(os.Args[0], brokerCommand, b.dir, b.addr)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd = cmd
	_, err = io.ReadFull(out, make([]byte, len("ready\n")))
	return err
}

// kill is kill -9. What the process says to that is of no interest.
func (b *brokerProcess) kill() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

// obey restarts the broker for everyone who connects, and answers with what went wrong.
func (b *brokerProcess) obey(control net.Listener) {
	for {
		c, err := control.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.kill()
		if err := b.start(); err != nil {
			fmt.Fprint(c, err)
		}
		b.mu.Unlock()
		c.Close()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
