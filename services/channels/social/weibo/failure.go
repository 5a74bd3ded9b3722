package weibo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
)

// failure is what the API says where it does not do what is asked
// (https://open.weibo.com/wiki/Error_code).
type failure struct {
	status int
	code   string // Weibo's; empty where the answer is none of its own
	reason string
}

// Error says it all.
func (f *failure) Error() string {
	if f.code == "" {
		return fmt.Sprintf("the API answered %d", f.status)
	}
	return fmt.Sprintf("the API answered %d, code %s: %s", f.status, f.code, f.reason)
}

// failureOf reads an answer; nil where it is none. Weibo says some failures with the status 200.
func failureOf(status int, raw []byte) *failure {
	var said struct {
		Error text `json:"error"`
		Code  text `json:"error_code"`
	}
	if json.Unmarshal(raw, &said) == nil && said.Code != "" && said.Code != "0" {
		return &failure{status, event.Clip(strings.ToValidUTF8(string(said.Code), "?"), 32), event.Clip(strings.ToValidUTF8(string(said.Error), "?"), 500)}
	}
	if status != http.StatusOK {
		return &failure{status: status}
	}
	return nil
}

// The codes of what was asked too often: by this address, by this user, of this call; and of too many messages.
const (
	codeLimitIP   = "10022"
	codeLimitUser = "10023"
	codeLimitCall = "10024"
	codeTooMany   = "20016"
)

// isLimit tells whether somebody asked too often.
func isLimit(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && (f.status == http.StatusTooManyRequests || f.code == codeLimitIP || f.code == codeLimitUser || f.code == codeLimitCall)
}

// isOurs tells that the token or the permission is at fault, which somebody may mend: not what was asked for.
func (f *failure) isOurs() bool {
	switch f.code {
	case "10005", "10006", "10014", "21301", "21314", "21315", "21316", "21317", "21327", "21332":
		return true
	}
	return false
}

// isPassing tells that nothing was done, and that it may be another time.
func (f *failure) isPassing() bool {
	switch f.code {
	case "10002", "10009", codeLimitIP, codeLimitUser, codeLimitCall, codeTooMany:
		return true
	case "":
		return f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable
	}
	return false
}

// isOpen tells that nobody knows whether something was done: an error inside, a time-out, or a comment that is there and has no id yet.
func (f *failure) isOpen() bool {
	switch f.code {
	case "10001", "10003", "10010", "10011", "20032":
		return true
	case "":
		return f.status/100 != 4 && !f.isPassing()
	}
	return false
}
