// Command kafka runs a real Apache Kafka on this machine, for tests and for trying things out.
//
//	kafka up -brokers 3      start a cluster, or say where it is
//	kafka status             which brokers run
//	kafka kill 2             end a broker as a crash would; stop 2 ends it gently
//	kafka start 2            start it again; restart 2 kills it first
//	kafka down               end all brokers; what they hold stays
//	kafka java CLASS ...     run one of Kafka's own programs
//	kafka exec -- COMMAND    run a command (tests) with clusters that live as long as it does
//
// Every command takes -dir, the cluster's directory, right behind its name.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/skein-cx/skein/tools/kafka"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	c := &command{flags: flag.NewFlagSet("kafka", flag.ExitOnError)}
	c.flags.StringVar(&c.cfg.Dir, "dir", ".kafka", "directory of the cluster")
	c.flags.IntVar(&c.cfg.Brokers, "brokers", 1, "up: how many brokers")
	c.flags.BoolVar(&c.cfg.Secure, "secure", false, "up: clients use TLS and authenticate")
	c.flags.StringVar(&c.cfg.Heap, "heap", "512m", "up: heap of each broker of a new cluster")
	c.cfg.Progress = os.Stderr
	commands := map[string]func(context.Context) error{
		"up": c.up, "down": c.down, "status": c.status, "addresses": c.addresses, "java": c.java, "exec": c.exec,
		"start":   c.each((*kafka.Cluster).Start),
		"stop":    c.each((*kafka.Cluster).Stop),
		"kill":    c.each((*kafka.Cluster).Kill),
		"restart": c.each((*kafka.Cluster).Restart),
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kafka up|down|status|addresses|start|stop|kill|restart|java|exec [-dir DIR] ...")
		return 2
	}
	if err := c.flags.Parse(args[1:]); err != nil {
		return 2 // not reached: the flags end the process
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := commands[args[0]](ctx)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return exit.ExitCode() // it has said what is wrong
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type command struct {
	flags *flag.FlagSet
	cfg   kafka.Config
}

func (c *command) up(ctx context.Context) error {
	cluster, err := kafka.Make(ctx, c.cfg)
	if err != nil {
		return err
	}
	running := 0
	for n := 1; n <= cluster.Brokers(); n++ {
		runs, err := cluster.Running(n)
		if err != nil {
			return err
		}
		if runs {
			running++
		}
	}
	if running < cluster.Brokers() {
		fmt.Fprintf(os.Stderr, "Starting %d of %d brokers ...\n", cluster.Brokers()-running, cluster.Brokers())
	}
	if err := cluster.Up(ctx); err != nil {
		return err
	}
	version, err := kafka.Version()
	if err != nil {
		return err
	}
	addrs := strings.Join(cluster.Addrs(), ",")
	if running == cluster.Brokers() {
		fmt.Printf("Kafka %s is up already: %s\n\n", version, addrs)
	} else {
		fmt.Printf("Kafka %s is up: %s\n\n", version, addrs)
	}
	fmt.Printf("  bin/skein up --kafka %s\n\n", addrs)
	if cluster.Secure() {
		username, password := cluster.Credentials()
		fmt.Printf("Clients authenticate, for which Skein needs in its environment:\n\n"+
			"  SKEIN_LOG_TLS_ENABLED=true\n  SKEIN_LOG_TLS_CA=%s\n  SKEIN_LOG_SASL_MECHANISM=SCRAM-SHA-512\n"+
			"  SKEIN_LOG_SASL_USERNAME=%s\n  SKEIN_LOG_SASL_PASSWORD=%s\n\n", cluster.CAFile(), username, password)
	}
	fmt.Printf("Its data and logs are in %s.\n", cluster.Dir())
	return nil
}

func (c *command) down(ctx context.Context) error {
	cluster, err := kafka.Find(ctx, c.cfg)
	if errors.Is(err, kafka.ErrNoCluster) {
		fmt.Printf("No Kafka to stop in %s.\n", c.cfg.Dir)
		return nil
	}
	if err != nil {
		return err
	}
	if err := cluster.Down(ctx); err != nil {
		return err
	}
	fmt.Printf("Kafka is down. What it holds stays in %s.\n", cluster.Dir())
	return nil
}

func (c *command) status(ctx context.Context) error {
	cluster, err := kafka.Find(ctx, c.cfg)
	if err != nil {
		return err
	}
	return cluster.Status(os.Stdout)
}

func (c *command) addresses(ctx context.Context) error {
	cluster, err := kafka.Find(ctx, c.cfg)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(cluster.Addrs(), ","))
	return nil
}

func (c *command) java(ctx context.Context) error {
	cluster, err := kafka.Find(ctx, c.cfg)
	if err != nil {
		return err
	}
	if c.flags.NArg() == 0 {
		return errors.New("kafka java: which class? For example org.apache.kafka.tools.TopicCommand --bootstrap-server ADDR --list")
	}
	program := cluster.Java(ctx, c.flags.Arg(0), c.flags.Args()[1:]...)
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	return program.Run()
}

// each does something to the brokers whose numbers follow.
func (c *command) each(do func(*kafka.Cluster, context.Context, int) error) func(context.Context) error {
	return func(ctx context.Context) error {
		cluster, err := kafka.Find(ctx, c.cfg)
		if err != nil {
			return err
		}
		if c.flags.NArg() == 0 {
			return fmt.Errorf("kafka: which broker? They are numbered from 1 to %d", cluster.Brokers())
		}
		for _, arg := range c.flags.Args() {
			n, err := strconv.Atoi(arg)
			if err != nil {
				return fmt.Errorf("kafka: %q is no broker's number", arg)
			}
			if err := do(cluster, ctx, n); err != nil {
				return err
			}
		}
		return nil
	}
}

// exec runs a command with two clusters of one broker: one that stays, and one that tests may kill. Where there can be none it
// runs the command all the same: its tests say what they miss, and fail where that is required.
func (c *command) exec(ctx context.Context) (err error) {
	args := c.flags.Args()
	if len(args) == 0 {
		return errors.New("kafka exec: which command?")
	}
	child := exec.CommandContext(ctx, args[0], args[1:]...)
	child.Stdin, child.Stdout, child.Stderr, child.Env = os.Stdin, os.Stdout, os.Stderr, os.Environ()
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	dir, err := os.MkdirTemp("", "skein-kafka-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var clusters [2]*kafka.Cluster
	defer func() {
		for _, cluster := range clusters {
			if cluster != nil {
				err = errors.Join(err, cluster.Remove(context.WithoutCancel(ctx)))
			}
		}
	}()
	for i := range clusters {
		if clusters[i], err = c.start(ctx, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			break
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "Running without a real Kafka: %v\n", err)
		return child.Run()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child.Env = append(child.Env,
		"SKEIN_TEST_KAFKA="+strings.Join(clusters[0].Addrs(), ","),
		"SKEIN_TEST_KAFKA_KILLED="+strings.Join(clusters[1].Addrs(), ","),
		fmt.Sprintf("SKEIN_TEST_KAFKA_RESTART='%s' restart -dir '%s' 1", self, clusters[1].Dir()))
	return child.Run()
}

// start starts a cluster of one broker, which ends with this process.
func (c *command) start(ctx context.Context, dir string) (*kafka.Cluster, error) {
	cfg := c.cfg
	cfg.Dir, cfg.Brokers, cfg.Frugal, cfg.Owned = dir, 1, true, true
	cluster, err := kafka.Make(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := cluster.Up(ctx); err != nil {
		return nil, err
	}
	return cluster, nil
}
