package chdb

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// exceptionError is an error of ClickHouse, with its number.
type exceptionError struct {
	Code    int
	Message string // the whole text, beginning with "Code: "
}

func (e *exceptionError) Error() string { return e.Message }

var exceptionPattern = regexp.MustCompile(`Code: (\d{1,5})\. DB::`)

// exceptionOf is nil for an empty text. A text without a number is one of the library, not of the engine: code 1001, as ClickHouse has it
// for exceptions of the standard library.
func exceptionOf(text string) error {
	if text == "" {
		return nil
	}
	m := exceptionPattern.FindStringSubmatchIndex(text)
	if m == nil {
		return &exceptionError{1001, "Code: 1001. DB::Exception: " + strings.TrimSpace(text) + " (STD_EXCEPTION)"}
	}
	code, err := strconv.Atoi(text[m[2]:m[3]])
	if err != nil {
		return &exceptionError{1001, text}
	}
	return &exceptionError{code, strings.TrimSpace(text[m[0]:])}
}

// The codes of ClickHouse that the bridge gives itself.
const (
	codeBadArguments        = 36
	codeUnknownFormat       = 73
	codeSyntaxError         = 62
	codeUnknownSetting      = 115
	codeIntoOutfile         = 138
	codeReadonly            = 164
	codeTooManyQueries      = 202
	codeNotImplemented      = 48
	codeQueryTooLarge       = 223
	codeCannotDecompress    = 271
	codeUnknownCompression  = 89
	codeSessionNotFound     = 372
	codeQueryCancelled      = 394
	codeAuthenticationFails = 516
	codeAccessDenied        = 497
	codeCannotRead          = 33
)

var codeNames = map[int]string{ //nolint:gochecknoglobals // read only
	codeBadArguments: "BAD_ARGUMENTS", codeUnknownFormat: "UNKNOWN_FORMAT", codeSyntaxError: "SYNTAX_ERROR", codeUnknownSetting: "UNKNOWN_SETTING",
	codeIntoOutfile: "INTO_OUTFILE_NOT_ALLOWED", codeReadonly: "READONLY", codeTooManyQueries: "TOO_MANY_SIMULTANEOUS_QUERIES",
	codeNotImplemented: "NOT_IMPLEMENTED", codeQueryTooLarge: "QUERY_IS_TOO_LARGE", codeCannotDecompress: "CANNOT_DECOMPRESS", codeUnknownCompression: "UNKNOWN_COMPRESSION_METHOD",
	codeSessionNotFound: "SESSION_NOT_FOUND", codeQueryCancelled: "QUERY_WAS_CANCELLED", codeAuthenticationFails: "AUTHENTICATION_FAILED",
	codeAccessDenied: "ACCESS_DENIED", codeCannotRead: "CANNOT_READ_ALL_DATA",
}

// refuse is an exception of the bridge itself, in ClickHouse's own form.
func refuse(code int, format string, args ...any) *exceptionError {
	return &exceptionError{code, fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code])}
}

// httpStatus is what ClickHouse answers for a code, https://github.com/ClickHouse/ClickHouse/blob/master/src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
func httpStatus(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 291, 497, codeAuthenticationFails: // UNKNOWN_USER, WRONG_PASSWORD, DATABASE_ACCESS_DENIED, ACCESS_DENIED
		return http.StatusForbidden
	case 6, 26, 27, 38, 41, 42, 43, 44, 62, 70, codeUnknownCompression, codeCannotDecompress: // what cannot be parsed
		return http.StatusBadRequest
	case 16, 46, 47, 50, 56, 60, 78, 81, 115, 218, 372: // what is unknown
		return http.StatusNotFound
	case codeQueryTooLarge:
		return http.StatusRequestEntityTooLarge
	case codeNotImplemented:
		return http.StatusNotImplemented
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case codeTooManyQueries:
		return http.StatusTooManyRequests
	default:
		return http.StatusInternalServerError
	}
}
