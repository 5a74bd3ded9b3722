package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a command line, and gives what it prints.
func command(t *testing.T, in string, args ...string) (out, complaints string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

const examples = "../../../docs/examples/mapped"

func TestADeliveryIsTriedWithoutAServer(t *testing.T) {
	t.Setenv("SHOPIFY_SECRET", "s3cret")
	config, body := filepath.Join(examples, "shopify.yaml"), filepath.Join(examples, "shopify.order.synthetic.json")
	out, complaints, err := command(t, "", "channel", "try", "--config", config, "--inbox", "shop", "--header", "X-Shopify-Topic=orders/create", body)
	if err != nil || complaints != "" {
		t.Fatal(err, complaints)
	}
	file := filepath.Join("testdata", "try.txt")
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != out {
		t.Errorf("%v: got\n%s", err, out)
	}
	raw, err := os.ReadFile(body)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err = command(t, string(raw), "channel", "try", "-c", config, "--inbox", "shop", "--json", "--header", "X-Shopify-Topic=orders/create", "-")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != 3 || !strings.HasPrefix(lines[0], `{"type":`) {
		t.Error(err, out)
	}
}

func TestWhatATrialFindsWrongIsTold(t *testing.T) {
	t.Setenv("CALENDLY_KEY", "s3cret")
	config := filepath.Join(examples, "calendly.yaml")
	out, complaints, err := command(t, `{"event":"invitee.canceled","created_at":"x"}`, "channel", "try", "-c", config, "--inbox", "appointments", "-")
	if !errors.Is(err, errNotTaken) || !strings.Contains(complaints, "Rejected: custom/mapped: events[2].thread: column 29: no such key: payload") || out != "0 events.\n" {
		t.Error(err, out, complaints)
	}
	out, _, err = command(t, `{}`, "channel", "try", "-c", config, "--inbox", "appointments", "--verify", "-")
	if !errors.Is(err, errNotTaken) || !strings.Contains(out, "Answered: 401 Unauthorized") {
		t.Error(err, out)
	}
	for _, args := range [][]string{
		{"--inbox", "appointments", "--header", "X", "-"}, {"--inbox", "meetings", "-"}, {"--inbox", "appointments", "not/there.json"}, {"-"},
	} {
		if out, _, err := command(t, "{}", append([]string{"channel", "try", "-c", config}, args...)...); err == nil {
			t.Error(args, out)
		}
	}
}

func TestTheHelpOfATrialShowsHow(t *testing.T) {
	out, _, err := command(t, "", "channel", "try", "--help")
	if err != nil || !strings.Contains(out, "skein channel try --config skein.yaml --inbox shop --header X-Shopify-Topic=orders/create order.json") {
		t.Error(err, out)
	}
}
