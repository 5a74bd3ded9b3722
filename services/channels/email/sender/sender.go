// Package sender hands mails to a mail server (a smarthost) over SMTP (RFC 5321), and tells exactly what became of each. It keeps no
// queue and tries nothing twice: who calls it does. Nothing of a mail is logged.
package sender

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"golang.org/x/oauth2"

	"github.com/skein-cx/skein/services/channels/email"
)

// TLS says how a connection is protected.
type TLS string

// The ways.
const (
	StartTLS TLS = email.StartTLS    // after a greeting in clear, on port 587; a server that does not offer it gets nothing
	Implicit TLS = email.ImplicitTLS // from the first byte, on port 465
	None     TLS = email.NoTLS       // not at all: only to this machine
)

// Config says what a Sender does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	// Addr is host:port of the server; the certificate must be the host's.
	Addr string
	// TLS protects the connection; StartTLS.
	TLS TLS
	// CAFile are the authorities, in PEM, that the server's certificate is checked with; those of the system.
	CAFile string
	// Username logs in, with a password or with a token of OAuth or TokenSource. Without, nobody logs in.
	Username, Password string
	OAuth              *email.OAuth
	TokenSource        oauth2.TokenSource
	// Hostname is how the sender calls itself; "localhost".
	Hostname string
	// CommandTimeout is how long an answer may take; 5 minutes. SubmissionTimeout is for the one after the mail; 12 minutes, as RFC
	// 5321, section 4.5.3.2, has it.
	CommandTimeout, SubmissionTimeout time.Duration
}

// Outcome is what became of a mail.
type Outcome int

// The outcomes.
const (
	// Retry: the server does not have it, and another try may help.
	Retry Outcome = iota
	// Accepted: the server has it for at least one recipient, and will deliver it or report that it could not.
	Accepted
	// Refused: the server will never take it, for no recipient.
	Refused
	// Unknown: the connection ended after the whole mail was sent and before the answer. Another try may deliver it twice, under
	// the same Message-ID.
	Unknown
)

// String gives the outcome as a word.
func (o Outcome) String() string {
	return [...]string{"retry", "accepted", "refused", "unknown"}[o]
}

// Envelope says from whom and to whom a mail goes, whatever its header says. An empty From gets no reports (auto-replies).
type Envelope struct {
	From string
	To   []string
}

// Result is what became of a mail.
type Result struct {
	Outcome Outcome
	// Code and Status are the answer of the server, and its enhanced code (RFC 3463), such as 550 and 5.1.1; zero and empty where
	// there was none. Reason is in words.
	Code   int
	Status string
	Reason string
	// Recipients are those who were refused, although the mail was accepted for others, or before it was refused.
	Recipients []Recipient
}

// Recipient is one who was refused: for good, or for now.
type Recipient struct {
	Address   string
	Temporary bool
	Code      int
	Status    string
	Reason    string
}

// Sender is safe for concurrent use: each mail has a connection of its own.
type Sender struct {
	cfg    Config
	tls    *tls.Config
	tokens oauth2.TokenSource
}

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Sender, error) {
	s := &Sender{cfg: cfg, tokens: cfg.TokenSource}
	s.cfg.TLS = cmp.Or(cfg.TLS, StartTLS)
	s.cfg.Hostname = cmp.Or(cfg.Hostname, "localhost")
	s.cfg.CommandTimeout = cmp.Or(cfg.CommandTimeout, 5*time.Minute)
	s.cfg.SubmissionTimeout = cmp.Or(cfg.SubmissionTimeout, 12*time.Minute)
	var errs []error
	var err error
	if s.tls, err = email.ServerTLS(cfg.Addr, string(s.cfg.TLS), cfg.CAFile); err != nil {
		errs = append(errs, err)
	}
	credentials := 0
	for _, given := range []bool{cfg.Password != "", cfg.OAuth != nil, cfg.TokenSource != nil} {
		if given {
			credentials++
		}
	}
	if credentials > 1 || (cfg.Username == "") != (credentials == 0) {
		errs = append(errs, errors.New("who logs in needs a user name and either a password or one source of tokens"))
	}
	if cfg.OAuth != nil {
		if s.tokens, err = cfg.OAuth.Source(); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("email/sender: %w", err)
	}
	return s, nil
}

// Send hands a mail to the server. The error, if any, is why r could not be read: then the server does not have the mail, and the
// outcome is Retry. When ctx ends, it hangs up.
func (s *Sender) Send(ctx context.Context, envelope Envelope, r io.Reader) (Result, error) {
	c, stop, err := s.connect(ctx)
	if err != nil {
		return s.early(err), nil
	}
	defer stop()
	if err := c.Mail(envelope.From, s.options(c, envelope)); err != nil {
		return answer(err), nil
	}
	var result Result
	accepted := 0
	for _, to := range envelope.To {
		err := c.Rcpt(to, nil)
		if err == nil {
			accepted++
			continue
		}
		refused := answer(err)
		if refused.Code == 0 { // no answer
			return refused, nil
		}
		result.Recipients = append(result.Recipients, Recipient{to, refused.Outcome == Retry, refused.Code, refused.Status, refused.Reason})
	}
	if accepted == 0 {
		return none(result.Recipients), nil
	}
	recipients := result.Recipients
	result, err = data(c, r)
	result.Recipients = recipients
	return result, err
}

// none is the result where no recipient was accepted: another try helps where one was refused for now.
func none(recipients []Recipient) Result {
	if len(recipients) == 0 {
		return Result{Outcome: Refused, Reason: "the mail has no recipient"}
	}
	why := recipients[0]
	for _, r := range recipients {
		if r.Temporary {
			why = r
		}
	}
	result := Result{Outcome: Refused, Code: why.Code, Status: why.Status, Reason: why.Reason, Recipients: recipients}
	if why.Temporary {
		result.Outcome = Retry
	}
	return result
}

// data sends the mail itself. Until the dot at its end the server cannot have accepted it.
func data(c *smtp.Client, r io.Reader) (Result, error) {
	w, err := c.Data()
	if err != nil {
		return answer(err), nil
	}
	source := &reader{r: r}
	if _, err = io.Copy(w, source); err != nil { // no dot is sent: the server forgets what it has
		_ = c.Close()
		result := Result{Outcome: Retry, Reason: "the connection ended within the mail"}
		if source.err != nil {
			return Result{Outcome: Retry, Reason: "the mail could not be read"}, fmt.Errorf("email/sender: read the mail: %w", source.err)
		}
		return result, nil
	}
	response, err := w.CloseWithResponse()
	if err == nil {
		_ = c.Quit() // the server has it, whatever comes now
		return Result{Outcome: Accepted, Code: 250, Reason: response.StatusText}, nil
	}
	result := answer(err)
	if result.Code == 0 {
		result = Result{Outcome: Unknown, Reason: "the connection ended before the answer: " + err.Error()}
	}
	return result, nil
}

// reader remembers the error of a reader, to tell it from the connection's.
type reader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err //nolint:wrapcheck // io.Copy looks at it
}

// answer reads the server's answer out of an error; without one, another try may help.
func answer(err error) Result {
	var said *smtp.SMTPError
	if !errors.As(err, &said) {
		return Result{Outcome: Retry, Reason: err.Error()}
	}
	result := Result{Outcome: Refused, Code: said.Code, Reason: said.Message}
	if said.Temporary() {
		result.Outcome = Retry
	}
	if e := said.EnhancedCode; e != smtp.NoEnhancedCode && e != smtp.EnhancedCodeNotSet {
		result.Status = fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
	}
	return result
}

// early is the result of a connection that did not come to the mail. Whatever the server says to a greeting or a login is about the
// configuration and not about the mail, which may be sent once that is mended.
func (s *Sender) early(err error) Result {
	result := answer(err)
	result.Outcome = Retry
	return result
}

// options are those of a mail: internationalised addresses (RFC 6531) where it has some.
func (s *Sender) options(c *smtp.Client, envelope Envelope) *smtp.MailOptions {
	options := &smtp.MailOptions{}
	for _, a := range append([]string{envelope.From}, envelope.To...) {
		for _, r := range a {
			options.UTF8 = options.UTF8 || r > 0x7e
		}
	}
	if ok, _ := c.Extension("8BITMIME"); ok && options.UTF8 {
		options.Body = smtp.Body8BitMIME
	}
	return options
}

// connect dials, protects the connection and logs in. stop ends it.
func (s *Sender) connect(ctx context.Context) (c *smtp.Client, stop func(), err error) {
	var conn net.Conn
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	if s.cfg.TLS == Implicit {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: s.tls}).DialContext(ctx, "tcp", s.cfg.Addr)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", s.cfg.Addr)
	}
	if err != nil {
		return nil, nil, err
	}
	unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
	hangUp := func() {
		unhook()
		_ = conn.Close()
	}
	defer func() {
		if err != nil {
			hangUp()
		}
	}()
	_ = conn.SetDeadline(time.Now().Add(s.cfg.CommandTimeout)) // go-smtp sets its own for each command
	if s.cfg.TLS == StartTLS {
		c, err = smtp.NewClientStartTLS(conn, s.tls)
		if err != nil {
			return nil, nil, fmt.Errorf("STARTTLS: %w", err)
		}
	} else {
		c = smtp.NewClient(conn)
	}
	c.CommandTimeout, c.SubmissionTimeout = s.cfg.CommandTimeout, s.cfg.SubmissionTimeout
	if s.cfg.TLS != StartTLS { // else it has said its name already
		if err = c.Hello(s.cfg.Hostname); err != nil {
			return nil, nil, fmt.Errorf("greet: %w", err)
		}
	}
	if s.cfg.Username == "" {
		return c, hangUp, nil
	}
	auth := sasl.NewPlainClient("", s.cfg.Username, s.cfg.Password)
	if s.tokens != nil {
		if auth, err = email.TokenAuth(s.cfg.Username, s.tokens, c.SupportsAuth); err != nil {
			return nil, nil, err
		}
	} else if !c.SupportsAuth(sasl.Plain) && c.SupportsAuth(sasl.Login) {
		auth = sasl.NewLoginClient(s.cfg.Username, s.cfg.Password)
	}
	if err = c.Auth(auth); err != nil {
		return nil, nil, fmt.Errorf("log in: %w", err)
	}
	return c, hangUp, nil
}
