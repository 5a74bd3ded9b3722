package pgkv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/skein-cx/skein/pkg/kv"
)

// Codes of errors: those of PostgreSQL, and those that our own functions raise.
const (
	namespaceGone   = "SK001"
	requirementOpen = "SK002"

	undefinedTable       = "42P01"
	lockNotAvailable     = "55P03"
	deadlockDetected     = "40P01"
	serializationFailure = "40001"
	diskFull             = "53100"
)

// passing are the codes, and the first two letters of such, of what passes by itself.
func passing() []string {
	return []string{
		"08",    // connection
		"57P",   // shutdown, start, crash, idle session
		"57014", // cancelled, by a person or by a timeout of the server
		"25P03", // idle in a transaction for too long
		"25006", // read only: a standby after a failover
		"53300", // too many connections
		"53400", // the same, by a limit of the role
		serializationFailure, deadlockDetected, lockNotAvailable,
	}
}

func isCode(err error, code string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code
}

// callError says what was being done, in words of this package and of kv: nothing of the driver comes through. An error
// after the end of the caller's context is that.
func callError(ctx context.Context, doing string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("pgkv: %s: %w", doing, ended)
	}
	return engineError(doing, err)
}

func engineError(doing string, err error) error {
	switch {
	case errors.Is(err, kv.ErrClosed), errors.Is(err, kv.ErrConflict):
		return err
	case isCode(err, diskFull):
		return fmt.Errorf("pgkv: %s: %w: free space on the database's machine: %s", doing, kv.ErrFull, err.Error())
	case passes(err):
		return fmt.Errorf("pgkv: %s: %w: %s", doing, kv.ErrUnavailable, err.Error())
	default:
		return errors.New("pgkv: " + doing + ": " + err.Error())
	}
}

func passes(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, code := range passing() {
			if strings.HasPrefix(pg.Code, code) {
				return true
			}
		}
		return false
	}
	// There is no answer of the server: the connection has ended, or could not be made.
	var network net.Error
	var connecting *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connecting) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) // our own, after the grace
}
