package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// house is a site's ClickHouse, asked over HTTP as curl does.
type house struct {
	t    *testing.T
	site *skeintest.Site
	addr string
}

// newHouse is a site with analytics, and a server on it.
func newHouse(t *testing.T) (*house, *skeintest.Process) {
	t.Helper()
	s := newSite(t).WithAnalytics()
	return &house{t: t, site: s, addr: s.ClickHouse}, s.Up()
}

// contains waits until ClickHouse contains what stands at positions.
func (h *house) contains(positions []*eventv1.Position) {
	h.t.Helper()
	const patience = 5 * time.Minute
	conn, err := rpc.Dial(h.site.GRPC, "", nil)
	must(h.t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	service := analyticsv1.NewAnalyticsServiceClient(conn)
	for {
		status, err := service.Status(ctx, &analyticsv1.StatusRequest{}) // it fails until the tables are made
		behind := 0
		for _, p := range positions {
			for _, stream := range status.GetStreams() {
				reads, there := false, false
				for _, next := range stream.GetNext() {
					reads = reads || next.GetTopic() == p.GetTopic()
					there = there || next.GetTopic() == p.GetTopic() && next.GetPartition() == p.GetPartition() && next.GetOffset() > p.GetOffset()
				}
				if reads && !there {
					behind++
				}
			}
		}
		if err == nil && behind == 0 && len(status.GetStreams()) > 0 {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond): // it fills at its own pace
		case <-ctx.Done():
			h.t.Fatalf("ClickHouse does not contain everything: %v, %v", status, err)
		}
	}
}

// ask sends a query, by GET or POST, and gives the answer. Parameters are those that it names as {name:Type}.
func (h *house) ask(method, sql string, parameters map[string]string) (string, error) {
	h.t.Helper()
	values := url.Values{}
	for name, value := range parameters {
		values.Set("param_"+name, value)
	}
	body := []byte(sql)
	if method == http.MethodGet {
		values.Set("query", sql)
		body = nil
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr+"/?"+values.Encode(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return strings.TrimSuffix(string(text), "\n"), err
}

// says fails where the answer to a query is another one.
func (h *house) says(want any, sql string, parameters map[string]string) {
	h.t.Helper()
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		got, err := h.ask(method, sql, parameters)
		if err != nil {
			h.t.Errorf("%s %s: %v", method, sql, err)
		} else if got != fmt.Sprint(want) {
			h.t.Errorf("%s %s %v says %q, and the files %q", method, sql, parameters, got, fmt.Sprint(want))
		}
	}
}
