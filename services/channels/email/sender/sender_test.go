package sender_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/skein-cx/skein/services/channels/email/sender"
)

const mail = "From: help@lumen.example\r\nTo: jo@example.com\r\n\r\nHello\r\n.\r\n..\r\nFrom here\r\n"

// script is a server: what it answers to each command's first word; "" hangs up. "." is the end of the mail. What it got is told.
func script(t *testing.T, answers map[string]string) (addr string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	all := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var b strings.Builder
		defer func() { all <- b.String() }()
		answer := func(what, otherwise string) bool {
			a, ok := answers[what]
			if !ok {
				a = otherwise
			}
			if a == "" {
				return false
			}
			_, err := fmt.Fprintf(c, "%s\r\n", a)
			return err == nil
		}
		if !answer("greeting", "220 mx ESMTP") {
			return
		}
		r := bufio.NewReader(c)
		inMail := false
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			b.WriteString(line + "\n")
			word, _, _ := strings.Cut(line, " ")
			otherwise := "250 2.0.0 fine"
			switch {
			case inMail && line != ".":
				if answers["within"] == "cut" {
					return
				}
				continue
			case inMail:
				inMail, word = false, "."
			case word == "EHLO":
				otherwise = "250-mx\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES"
			case word == "AUTH":
				otherwise = "235 2.7.0 welcome"
			case word == "DATA":
				otherwise = "354 go on"
				inMail = true
			case word == "RCPT":
				word = line
			}
			if !answer(word, otherwise) {
				return
			}
		}
	}()
	return l.Addr().String(), all
}

func send(t *testing.T, ctx context.Context, addr string, r io.Reader, to ...string) (sender.Result, error) {
	t.Helper()
	s, err := sender.New(sender.Config{Addr: addr, TLS: sender.None, Username: "help", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(ctx, sender.Envelope{From: "help@lumen.example", To: to}, r)
}

func TestWhatBecameOfAMail(t *testing.T) {
	const jo, bo = "RCPT TO:<jo@example.com>", "RCPT TO:<bo@example.com>"
	for name, tt := range map[string]struct {
		answers    map[string]string
		outcome    sender.Outcome
		code       int
		status     string
		recipients int
	}{
		"all is well":                           {nil, sender.Accepted, 250, "", 0},
		"the server is busy":                    {map[string]string{"greeting": "421 4.3.2 busy"}, sender.Retry, 421, "4.3.2", 0},
		"the server never takes anything":       {map[string]string{"greeting": "554 5.0.0 no"}, sender.Retry, 554, "5.0.0", 0},
		"the password is wrong":                 {map[string]string{"AUTH": "535 5.7.8 wrong"}, sender.Retry, 535, "5.7.8", 0},
		"the sender is refused":                 {map[string]string{"MAIL": "550 5.7.1 not yours"}, sender.Refused, 550, "5.7.1", 0},
		"the sender is refused for now":         {map[string]string{"MAIL": "451 4.7.1 later"}, sender.Retry, 451, "4.7.1", 0},
		"a recipient is unknown":                {map[string]string{jo: "550 5.1.1 unknown"}, sender.Accepted, 250, "", 1},
		"both are unknown":                      {map[string]string{jo: "550 5.1.1 unknown", bo: "550 5.1.1 unknown"}, sender.Refused, 550, "5.1.1", 2},
		"one is unknown, the other is greyed":   {map[string]string{jo: "550 5.1.1 unknown", bo: "450 4.2.0 later"}, sender.Retry, 450, "4.2.0", 2},
		"the connection ends at a recipient":    {map[string]string{bo: ""}, sender.Retry, 0, "", 0},
		"the mail is not wanted at all":         {map[string]string{"DATA": "554 5.7.1 spam"}, sender.Refused, 554, "5.7.1", 0},
		"the connection ends within the mail":   {map[string]string{"within": "cut"}, sender.Unknown, 0, "", 0}, // a short mail is sent at once, with its dot
		"the mail is refused":                   {map[string]string{".": "552 5.3.4 too long"}, sender.Refused, 552, "5.3.4", 0},
		"the mail is refused for now":           {map[string]string{".": "452 4.3.1 full"}, sender.Retry, 452, "4.3.1", 0},
		"the connection ends before the answer": {map[string]string{".": ""}, sender.Unknown, 0, "", 0},
		"the connection ends after the answer":  {map[string]string{"QUIT": ""}, sender.Accepted, 250, "", 0},
		"the answer makes no sense":             {map[string]string{".": "so what"}, sender.Unknown, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := script(t, tt.answers)
			got, err := send(t, t.Context(), addr, strings.NewReader(mail), "jo@example.com", "bo@example.com")
			if err != nil || got.Outcome != tt.outcome || got.Code != tt.code || got.Status != tt.status || len(got.Recipients) != tt.recipients {
				t.Errorf("%v %+v, want %v %d %s", err, got, tt.outcome, tt.code, tt.status)
			}
			if strings.Contains(got.Reason, "secret") {
				t.Errorf("the reason holds the password: %s", got.Reason)
			}
		})
	}
}

func TestTheServerGetsTheMailAsItIs(t *testing.T) {
	addr, got := script(t, nil)
	if result, err := send(t, t.Context(), addr, strings.NewReader(mail), "jo@example.com"); err != nil || result.Outcome != sender.Accepted {
		t.Fatal(result, err)
	}
	stuffed := strings.ReplaceAll(strings.ReplaceAll(mail, "\r\n", "\n"), "\n.", "\n..")
	if all := <-got; !strings.Contains(all, "DATA\n"+stuffed+".\n") || !strings.Contains(all, "MAIL FROM:<help@lumen.example>") {
		t.Errorf("it got %q", all)
	}
}

// broken gives some bytes and then an error.
type broken struct{ n int }

func (b *broken) Read(p []byte) (int, error) {
	if b.n--; b.n < 0 {
		return 0, errors.New("the disk is gone")
	}
	return copy(p, "a line\r\n"), nil
}

// A mail that cannot be read to its end must not arrive in half.
func TestAMailThatCannotBeReadIsNotSent(t *testing.T) {
	addr, got := script(t, nil)
	result, err := send(t, t.Context(), addr, &broken{3000}, "jo@example.com")
	if err == nil || result.Outcome != sender.Retry {
		t.Errorf("%v %v", result, err)
	}
	if all := <-got; strings.HasSuffix(all, "\n.\n") {
		t.Error("the server got its end")
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if result, err := send(t, t.Context(), l.Addr().String(), strings.NewReader(mail), "jo@example.com"); err != nil || result.Outcome != sender.Retry || result.Code != 0 {
		t.Errorf("%v %v", result, err)
	}
}

func TestWhenTheContextEndsItHangsUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			cancel()
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	if result, err := send(t, ctx, l.Addr().String(), strings.NewReader(mail), "jo@example.com"); err != nil || result.Outcome != sender.Retry {
		t.Errorf("%v %v", result, err)
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for want, cfg := range map[string]sender.Config{
		"host:port":         {Addr: "mx", TLS: sender.None},
		"on this machine":   {Addr: "mx.example:25", TLS: sender.None},
		"unknown TLS":       {Addr: "mx.example:25", TLS: "perhaps"},
		"either a password": {Addr: "mx.example:587", Username: "x"},
		"needs a user name": {Addr: "mx.example:587", Password: "x"},
		"authorities":       {Addr: "mx.example:587", CAFile: "/nowhere"},
	} {
		if _, err := sender.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
