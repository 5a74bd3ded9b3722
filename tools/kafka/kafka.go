// Package kafka runs a real Apache Kafka on this machine: one broker or several, in KRaft mode, on loopback addresses, as
// processes of this user. It is for tests and for trying things out; it knows nothing of production.
//
// A cluster is a directory, which holds its ports, certificates, data and logs. So several live side by side, and any process
// can start, stop and kill the brokers of any cluster: the tests of this module do it through this package, those of others
// through the command (tools/cmd/kafka), since libraries must not import tools. Whether a broker runs is told by a lock that
// it holds from its first moment to its last, however it ends; a file with its process id would name a stranger one day.
//
// It is a package and no script because what it does most is to wait: for a broker that answers, for one that has ended, for
// a time limit; and to tell why in vain.
package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/freeport"
)

// ErrNoCluster is returned for a directory that holds no cluster.
var ErrNoCluster = errors.New("there is no cluster")

// stateFile holds what a cluster is, in its directory.
const stateFile = "cluster.json"

// Config says what cluster is wanted, and how its brokers run. Only Dir must be set.
type Config struct {
	// Dir is the cluster's directory. One that holds a cluster already must hold one like this.
	Dir string
	// Brokers is their number. 1 unless set. Three and more replicate everything three times.
	Brokers int
	// Secure has clients use TLS and authenticate.
	Secure bool
	// Heap is the memory of each broker's heap, as Java takes it. 512m unless set.
	Heap string
	// Frugal brokers take half the processor time to start, and more of it for each request.
	Frugal bool
	// Owned brokers end with the process that started them, at the latest.
	Owned bool
	// Patience is how long a broker may take for anything. 2 minutes unless set.
	Patience time.Duration
	// Progress is told what takes long. Nobody is unless it is set.
	Progress io.Writer
}

func (c Config) withDefaults() Config {
	if c.Brokers == 0 {
		c.Brokers = 1
	}
	if c.Heap == "" {
		c.Heap = "512m"
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Minute
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c
}

// Cluster is a cluster of brokers, which run or not. Brokers are numbered from 1 on. It is safe for concurrent use, by several
// processes as well.
type Cluster struct {
	cfg      Config
	state    state
	software software
	release  []func() // the ports of a cluster that was made here
}

// state is what a cluster's directory says about it.
type state struct {
	ID       string  `json:"id"`
	Heap     string  `json:"heap"`
	Frugal   bool    `json:"frugal,omitempty"`
	Ports    []ports `json:"ports"`
	Username string  `json:"username,omitempty"` // only of a secure cluster
	Password string  `json:"password,omitempty"`
}

// ports are those at which one broker listens.
type ports struct {
	Clients    int `json:"clients"`
	Internal   int `json:"internal"` // brokers among themselves, and this package
	Controller int `json:"controller"`
}

// Make makes a cluster, or finds the one that its directory holds. It starts no broker, but fetches what they need.
func Make(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg = cfg.withDefaults()
	c, err := Find(ctx, cfg)
	if err == nil {
		if len(c.state.Ports) != cfg.Brokers || c.Secure() != cfg.Secure {
			return nil, fmt.Errorf("kafka: %s holds a cluster already, with %d brokers and secure=%v: stop it and remove the directory, or name another one",
				c.cfg.Dir, len(c.state.Ports), c.Secure())
		}
		return c, nil
	}
	if !errors.Is(err, ErrNoCluster) {
		return nil, err
	}
	c = &Cluster{cfg: cfg}
	if c.cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if c.software, err = install(ctx, cfg.Progress); err != nil {
		return nil, err
	}
	if err := c.lay(ctx); err != nil {
		return nil, fmt.Errorf("kafka: make a cluster in %s: %w", c.cfg.Dir, err)
	}
	return c, nil
}

// Find finds the cluster that a directory holds. Of the config, Brokers, Secure, Heap and Frugal are what they are there.
func Find(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg.withDefaults()}
	var err error
	if c.cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(c.cfg.Dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("kafka: %w in %s", ErrNoCluster, c.cfg.Dir)
	}
	if err == nil {
		err = json.Unmarshal(text, &c.state)
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: read %s: %w", filepath.Join(c.cfg.Dir, stateFile), err)
	}
	if c.software, err = install(ctx, c.cfg.Progress); err != nil {
		return nil, err
	}
	return c, nil
}

// lay writes the directory of a new cluster; the state comes last.
func (c *Cluster) lay(ctx context.Context) error {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	id[0] &= 0x7f        // no "-" at the beginning, which the storage tool would take for an option
	c.state = state{ID: base64.RawURLEncoding.EncodeToString(id), Heap: c.cfg.Heap, Frugal: c.cfg.Frugal}
	if c.cfg.Secure {
		c.state.Username, c.state.Password = "skein", rand.Text()
	}
	if err := c.reserve(ctx); err != nil {
		return err
	}
	for n := 1; n <= c.cfg.Brokers; n++ {
		if err := os.MkdirAll(c.brokerDir(n), 0o750); err != nil {
			return err
		}
	}
	if c.cfg.Secure {
		if err := makeCertificates(c.cfg.Dir); err != nil {
			return err
		}
	}
	for n := 1; n <= c.cfg.Brokers; n++ {
		if err := os.WriteFile(c.propertiesFile(n), []byte(c.properties(n)), 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(c.cfg.Dir, "log4j2.properties"), []byte(log4j), 0o600); err != nil {
		return err
	}
	text, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.cfg.Dir, stateFile), append(text, '\n'), 0o600)
}

// reserve finds the ports, and keeps them for the brokers while they are down.
func (c *Cluster) reserve(ctx context.Context) error {
	for range c.cfg.Brokers {
		var p ports
		for _, port := range []*int{&p.Clients, &p.Internal, &p.Controller} {
			found, release, err := freeport.Reserve(ctx)
			if err != nil {
				return err
			}
			*port, c.release = found, append(c.release, release)
		}
		c.state.Ports = append(c.state.Ports, p)
	}
	return nil
}

// Brokers is their number.
func (c *Cluster) Brokers() int { return len(c.state.Ports) }

// Addrs are the brokers' addresses for clients.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, 0, len(c.state.Ports))
	for _, p := range c.state.Ports {
		addrs = append(addrs, addr(p.Clients))
	}
	return addrs
}

// Advertise has each broker tell clients another address than its own, such as that of a proxy before it, from its next start
// on.
func (c *Cluster) Advertise(addrs ...string) error {
	if len(addrs) != c.Brokers() {
		return fmt.Errorf("kafka: %d addresses for %d brokers", len(addrs), c.Brokers())
	}
	for i, a := range addrs {
		text := strings.Replace(c.properties(i+1), "advertised.listeners=CLIENTS://"+c.Addrs()[i], "advertised.listeners=CLIENTS://"+a, 1)
		if err := os.WriteFile(c.propertiesFile(i+1), []byte(text), 0o600); err != nil {
			return fmt.Errorf("kafka: advertise %s: %w", a, err)
		}
	}
	return nil
}

// Secure says whether clients must use TLS and authenticate.
func (c *Cluster) Secure() bool { return c.state.Username != "" }

// Credentials are those of the only user, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
func (c *Cluster) Credentials() (username, password string) {
	return c.state.Username, c.state.Password
}

// Dir is the cluster's directory.
func (c *Cluster) Dir() string { return c.cfg.Dir }

func (c *Cluster) brokerDir(n int) string { return filepath.Join(c.cfg.Dir, strconv.Itoa(n)) }
func (c *Cluster) propertiesFile(n int) string {
	return filepath.Join(c.brokerDir(n), "server.properties")
}

// DataDir is where a broker keeps its partitions.
func (c *Cluster) DataDir(n int) string { return filepath.Join(c.brokerDir(n), "data") }

// LogFile is where a broker tells what it does.
func (c *Cluster) LogFile(n int) string { return filepath.Join(c.brokerDir(n), "broker.log") }

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Up starts all brokers that do not run, and returns when each of them knows that all are there.
func (c *Cluster) Up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	started := make([]*process, c.Brokers()+1)
	err := c.each(func(n int) (err error) {
		started[n], err = c.launch(ctx, n)
		return err
	})
	if err == nil {
		err = c.each(func(n int) error { return c.await(ctx, n, started[n], c.Brokers()) })
	}
	if err != nil {
		for _, p := range started {
			p.kill()
		}
	}
	return err
}

// Start starts a broker, unless it runs already, and returns when it serves. It needs most of the others.
func (c *Cluster) Start(ctx context.Context, n int) error {
	if err := c.known(n); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	p, err := c.launch(ctx, n)
	if err != nil {
		return err
	}
	if err := c.await(ctx, n, p, 1); err != nil {
		p.kill()
		return err
	}
	return nil
}

// Stop asks a broker to end, and returns when it has.
func (c *Cluster) Stop(ctx context.Context, n int) error {
	if err := c.known(n); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	return c.end(ctx, n, gently)
}

// Kill ends a broker as a crash would, and returns when it has ended.
func (c *Cluster) Kill(ctx context.Context, n int) error {
	if err := c.known(n); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	return c.end(ctx, n, atOnce)
}

// Restart kills a broker, if it runs, and starts it again. Restarts of one broker wait for each other, else one would kill
// what the other starts.
func (c *Cluster) Restart(ctx context.Context, n int) error {
	if err := c.known(n); err != nil {
		return err
	}
	turn, err := c.turn(ctx, n)
	if err != nil {
		return err
	}
	defer func() { _ = turn.Close() }() // gives the turn to the next
	if err := c.Kill(ctx, n); err != nil {
		return err
	}
	return c.Start(ctx, n)
}

// Down ends all brokers. The last ones of a cluster may wait for a controller in vain: they are killed after a while.
func (c *Cluster) Down(ctx context.Context) error {
	return c.each(func(n int) error {
		gentle, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		if c.end(gentle, n, gently) == nil {
			return nil
		}
		return c.Kill(ctx, n)
	})
}

// Remove kills all brokers and removes the directory.
func (c *Cluster) Remove(ctx context.Context) error {
	if err := c.each(func(n int) error { return c.Kill(ctx, n) }); err != nil {
		return err
	}
	if err := os.RemoveAll(c.cfg.Dir); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	for _, release := range c.release {
		release()
	}
	return nil
}

// Running says whether a broker runs, though it may not serve yet.
func (c *Cluster) Running(n int) (bool, error) {
	if err := c.known(n); err != nil {
		return false, err
	}
	pid, err := c.pid(n)
	return pid != 0, err
}

func (c *Cluster) known(n int) error {
	if n < 1 || n > c.Brokers() {
		return fmt.Errorf("kafka: there is no broker %d: they are numbered from 1 to %d", n, c.Brokers())
	}
	return nil
}

// each calls fn for all brokers at once.
func (c *Cluster) each(fn func(n int) error) error {
	errs := make([]error, c.Brokers())
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = fn(i + 1) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// tail is the end of what a broker said.
func (c *Cluster) tail(n int) string {
	const lines = 20
	text, err := os.ReadFile(c.LogFile(n))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
