package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
	"github.com/skein-cx/skein/services/console/web"
)

// anybody is an API that knows everybody.
type anybody struct{ grpc.ClientConnInterface }

func (anybody) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	if who, ok := reply.(*authv1.WhoamiResponse); ok {
		who.Tenant = "acme"
	}
	return nil
}

// fetch downloads a file of pieces, the last of which is followed by an error.
func fetch(t *testing.T, end error, pieces ...string) (code int, header http.Header, body string, err error) {
	t.Helper()
	site, err := web.NewSite(web.Config{API: anybody{}, Asset: func(name string) string { return name }, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site.Handle(func(c *web.Call) error {
		return c.Download("Übersicht.csv", "text/csv", func() ([]byte, error) {
			if len(pieces) == 0 {
				return nil, end
			}
			piece := pieces[0]
			pieces = pieces[1:]
			return []byte(piece), nil
		})
	}))
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, string(text), err
}

func TestADownloadComesPieceByPieceUnderItsName(t *testing.T) {
	t.Parallel()
	code, header, body, err := fetch(t, io.EOF, "a,b\n", "1,2\n")
	if err != nil || code != http.StatusOK || body != "a,b\n1,2\n" {
		t.Errorf("%d %q: %v", code, body, err)
	}
	if got := header.Get("Content-Disposition"); got != "attachment; filename*=utf-8''%C3%9Cbersicht.csv" {
		t.Error(got)
	}
}

func TestADownloadThatCannotBeginIsAnAnswerThatSaysWhy(t *testing.T) {
	t.Parallel()
	code, _, _, err := fetch(t, web.Bad("there is no such table"))
	if err != nil || code != http.StatusUnprocessableEntity {
		t.Errorf("%d, %v", code, err)
	}
}

func TestADownloadThatFailsMidwayBreaksTheConnectionOff(t *testing.T) {
	t.Parallel()
	if code, _, body, err := fetch(t, errors.New("the disk is gone"), "a,b\n"); err == nil {
		t.Errorf("%d %q looks like a whole file", code, body)
	}
}
