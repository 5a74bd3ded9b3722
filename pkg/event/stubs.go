package event

import (
	"errors"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var errTODO = errors.New("event: not written yet")

// MaxContent is how many bytes of content a record of the log may hold.
const MaxContent = 256 << 10

type (
	// Compiled is an event ready for the log.
	Compiled struct {
		Event   *eventv1.Event
		Content *eventv1.Content
	}
	// Compiler makes events of submissions.
	Compiler struct{}
	// Option changes a Compiler.
	Option func(*Compiler)
	// Violation is one thing that is wrong.
	Violation struct{ Field, Reason string }
	// InvalidError is what is wrong with a submission or an event.
	InvalidError struct{ Violations []Violation }
)

func (e *InvalidError) Error() string { return "event: invalid" }

func NewCompiler(k *Keyring, opts ...Option) (*Compiler, error) { return nil, errTODO }
func (c *Compiler) Compile(tenant string, s *eventv1.Submission, receivedAt time.Time) (Compiled, error) {
	return Compiled{}, errTODO
}
func (c Compiled) Topic() string                                  { return "" }
func (c Compiled) Key() []byte                                    { return nil }
func Spill(c *Compiled, ref *eventv1.Blob) error                  { return errTODO }
func Decode(value []byte) (*eventv1.Event, error)                 { return nil, errTODO }
func Encode(e *eventv1.Event) ([]byte, error)                     { return nil, errTODO }
func DecodeContent(e *eventv1.Event) (*eventv1.Content, error)    { return nil, errTODO }
func ToCloudEvent(e *eventv1.Event) (cloudevents.Event, error)    { return cloudevents.Event{}, errTODO }
func FromCloudEvent(ce cloudevents.Event) (*eventv1.Event, error) { return nil, errTODO }
