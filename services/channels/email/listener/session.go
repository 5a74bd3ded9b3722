package listener

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/skein-cx/skein/services/channels/email"
)

var (
	errUnknown = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox here"}
	errRetry   = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The mail cannot be stored now, try again later"}
	errBusy    = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "Too many mails are under way, try again later"}
	errBroken  = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "The mail broke off, try again"}
)

// inboxKey tells inboxes apart.
type inboxKey struct{ tenant, id string }

// session is a client's. go-smtp calls its methods one after the other.
type session struct {
	l          *Listener
	conn       *conn
	recipients []string // as the client wrote them
	inboxes    []email.Inbox
}

var _ smtp.LMTPSession = (*session)(nil)

func (l *Listener) newSession(c *smtp.Conn) (smtp.Session, error) {
	under := c.Conn()
	if encrypted, ok := under.(*tls.Conn); ok {
		under = encrypted.NetConn()
	}
	own, ok := under.(*conn)
	if !ok {
		return nil, fmt.Errorf("email/listener: a connection of type %T", under)
	}
	return &session{l: l, conn: own}, nil
}

// Reset implements smtp.Session. The server calls it after each mail, too.
func (s *session) Reset() {
	s.recipients, s.inboxes = nil, nil
	s.conn.inMail.Store(false)
	s.conn.unlimited.Store(false)
}

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session. Anybody may send, the null sender of delivery reports among them.
func (s *session) Mail(string, *smtp.MailOptions) error {
	s.recipients, s.inboxes = nil, nil
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	in, ok := s.l.routes.Find(strings.Trim((&mail.Address{Address: to}).String(), "<>")) // go-smtp took the quotes away
	if !ok {
		s.l.metrics.unknown.Inc()
		s.l.log.Debug("unknown recipient", "recipient", to)
		return errUnknown
	}
	s.recipients = append(s.recipients, to)
	s.inboxes = append(s.inboxes, in)
	return nil
}

// Data implements smtp.Session: one answer, which is success only where every inbox has the mail.
func (s *session) Data(r io.Reader) error {
	outcomes, err := s.receive(r)
	for _, outcome := range outcomes {
		if outcome != nil {
			return outcome
		}
	}
	return err
}

// LMTPData implements smtp.LMTPSession: an answer for each recipient.
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	outcomes, err := s.receive(r)
	if err != nil {
		return err
	}
	for i, to := range s.recipients {
		in := s.inboxes[i]
		status.SetStatus(to, outcomes[inboxKey{in.Tenant, in.ID}])
	}
	return nil
}

// receive reads a mail and hands it in for each inbox once. The outcomes are what each answered; the error, with no
// outcome, is what went wrong with the mail as a whole.
func (s *session) receive(r io.Reader) (outcomes map[inboxKey]error, err error) {
	begin := time.Now()
	s.conn.inMail.Store(true)
	raw, release, err := s.read(r)
	defer release()
	if err != nil {
		s.l.metrics.done(outcomeOf(err), begin)
		return nil, err
	}
	s.l.metrics.bytes.Add(float64(len(raw)))
	parsed := email.Parse(raw)
	if len(parsed.Defects) > 0 {
		s.l.metrics.defective.Inc()
		s.l.log.Debug("defective mail", "message_id", parsed.NativeID(), "defects", parsed.Defects)
	}
	outcomes = map[inboxKey]error{}
	for _, in := range s.inboxes {
		key := inboxKey{in.Tenant, in.ID}
		if _, done := outcomes[key]; done {
			continue
		}
		begin := time.Now()
		outcomes[key] = s.deliver(parsed, in)
		s.l.metrics.done(outcomeOf(outcomes[key]), begin)
	}
	return outcomes, nil
}

// deliver hands a mail in for one inbox and gives the answer for the client.
func (s *session) deliver(m *email.Mail, in email.Inbox) error {
	reason, err := m.Deliver(s.l.work, s.l.host, in)
	switch {
	case err != nil:
		s.l.log.Warn("a mail cannot be stored now: its sender will try again", "tenant", in.Tenant, "inbox", in.ID, "error", err)
		return errRetry
	case reason != "":
		s.l.metrics.dead.Inc()
		s.l.log.Warn("a mail was put among the dead letters", "tenant", in.Tenant, "inbox", in.ID)
		s.l.log.Debug("why a mail was put among the dead letters", "message_id", m.NativeID(), "reason", reason)
	}
	return nil
}

// read takes a whole mail into memory, as far as there is room. release gives the room back.
func (s *session) read(r io.Reader) (raw []byte, release func(), err error) {
	_, chunks := r.(*io.PipeReader) // BDAT: commands come in between, so their limit stays
	s.conn.unlimited.Store(!chunks)
	taken := int64(0)
	release = func() { s.l.memory.Release(taken) }
	for {
		if len(raw) == cap(raw) {
			size := min(max(64<<10, 2*int64(cap(raw))), s.l.cfg.MaxMessageBytes+1)
			if !s.l.memory.TryAcquire(size - taken) {
				return nil, release, s.drained(r, errBusy)
			}
			taken = size
			raw = append(make([]byte, 0, size), raw...)
		}
		n, err := r.Read(raw[len(raw):cap(raw)])
		s.conn.unanswered.Store(0)
		raw = raw[:len(raw)+n]
		var refused *smtp.SMTPError
		switch {
		case errors.Is(err, io.EOF):
			return raw, release, nil
		case errors.As(err, &refused) && refused.Code == smtp.ErrDataTooLarge.Code, int64(len(raw)) > s.l.cfg.MaxMessageBytes:
			return nil, release, s.drained(r, &smtp.SMTPError{
				Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4},
				Message: fmt.Sprintf("The mail is longer than %d bytes: send a shorter one, or a link to the file", s.l.cfg.MaxMessageBytes),
			})
		case err != nil:
			s.l.log.Debug("a mail broke off", "error", err)
			return nil, release, errBroken
		}
	}
}

// drained throws away the rest of a mail that came by BDAT; after DATA the server does so itself.
func (s *session) drained(r io.Reader, answer error) error {
	if pipe, chunks := r.(*io.PipeReader); chunks {
		buffer := make([]byte, 32<<10)
		for {
			_, err := pipe.Read(buffer)
			s.conn.unanswered.Store(0)
			if err != nil {
				break
			}
		}
	}
	return answer
}
