package kafka

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

//go:embed pom.xml
var pom []byte

//go:embed log4j2.properties
var log4j string

// leastJava is the oldest Java on which a broker runs.
const leastJava = 17

// software is what brokers are started with.
type software struct {
	java string // the program
	lib  string // directory of the archives
}

// ErrLacks is returned where this machine lacks what a broker needs. The error says what to install.
var ErrLacks = errors.New("this machine cannot run Kafka")

// Check says what this machine lacks to run a broker: nil, or ErrLacks.
func Check(ctx context.Context) error {
	if _, err := findJava(ctx); err != nil {
		return err
	}
	lib, _, err := libDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(lib); err == nil {
		return nil
	}
	return findMaven()
}

// Version is the version of Kafka.
func Version() (string, error) {
	var project struct {
		Version string `xml:"properties>kafka.version"`
	}
	if err := xml.Unmarshal(pom, &project); err != nil {
		return "", fmt.Errorf("kafka: pom.xml: %w", err)
	}
	return project.Version, nil
}

func libDir() (dir, version string, err error) {
	if version, err = Version(); err != nil {
		return "", "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("kafka: %w", err)
	}
	return filepath.Join(cache, "skein", "kafka-"+version), version, nil
}

func findJava(ctx context.Context) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kafka: %w: Java does not run (%v): install Java %d or newer (Debian: apt-get install openjdk-%[3]d-jre-headless) "+
			"or say where it is by JAVA_HOME", ErrLacks, err, leastJava)
	}
	version := regexp.MustCompile(`version "(\d+)`).FindSubmatch(out)
	if version == nil {
		return "", fmt.Errorf("kafka: %w: %s -version tells no version: %s", ErrLacks, java, out)
	}
	if n, err := strconv.Atoi(string(version[1])); err != nil || n < leastJava {
		return "", fmt.Errorf("kafka: %w: %s is Java %s: install Java %d or newer, or say where it is by JAVA_HOME", ErrLacks, java, version[1], leastJava)
	}
	return java, nil
}

func findMaven() error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("kafka: %w: mvn, which fetches Kafka, is missing: install Maven (Debian: apt-get install maven)", ErrLacks)
	}
	return nil
}

// install finds Java, and fetches Kafka into the user's cache once.
func install(ctx context.Context, progress io.Writer) (software, error) {
	java, err := findJava(ctx)
	if err != nil {
		return software{}, err
	}
	lib, version, err := libDir()
	if err != nil {
		return software{}, err
	}
	if _, err := os.Stat(lib); err == nil {
		return software{java, lib}, nil
	}
	if err := findMaven(); err != nil {
		return software{}, err
	}
	fmt.Fprintf(progress, "Fetching Kafka %s from Maven Central (44 MB, once) ...\n", version)
	if err := fetch(ctx, lib); err != nil {
		return software{}, fmt.Errorf("kafka: fetch Kafka %s: %w", version, err)
	}
	return software{java, lib}, nil
}

// fetch has Maven copy the archives into a directory, which is there either whole or not at all.
func fetch(ctx context.Context, lib string) error {
	if err := os.MkdirAll(filepath.Dir(lib), 0o750); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(lib), ".fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o600); err != nil {
		return err
	}
	maven := exec.CommandContext(ctx, "mvn", "-B", "-q", "--strict-checksums", "dependency:copy-dependencies", "-DoutputDirectory=lib")
	maven.Dir = work
	if out, err := maven.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(filepath.Join(work, "lib"), lib); err != nil {
		if _, there := os.Stat(lib); there == nil {
			return nil // another process was faster
		}
		return err
	}
	return nil
}
