// Package content serves what belongs to an event and does not stand on a page itself: files, recordings, and mails as they were written.
package content

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"
	"google.golang.org/protobuf/types/known/timestamppb"

	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// Content serves files and mails. It is safe for concurrent use.
type Content struct {
	site   *web.Site
	policy *bluemonday.Policy
}

// New makes it.
func New(site *web.Site) *Content {
	policy := bluemonday.UGCPolicy()
	policy.AllowStyling()
	policy.AllowAttrs("bgcolor", "color", "face", "size", "align", "valign", "width", "height", "border", "cellpadding", "cellspacing").Globally()
	policy.AllowElements("font", "center")
	policy.AllowURLSchemes("mailto", "http", "https", "tel")
	policy.AddTargetBlankToFullyQualifiedLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	return &Content{site: site, policy: policy}
}

// Mount serves it.
func (c *Content) Mount(mux *http.ServeMux) {
	mux.Handle("GET "+web.Prefix+"files", c.site.Handle(c.file))
	mux.Handle("GET "+web.Prefix+"written", c.site.Handle(c.written))
}

// Files are the addresses of what belongs to events.
func Files() view.Files {
	return view.Files{
		File: func(a *eventv1.Attachment) string {
			return view.With(web.Prefix+"files", "key", a.GetBlob().GetKey(), "name", a.GetName(), "type", view.MediaType(a))
		},
		Written: func(e *timelinev1.Entry) string {
			return view.With(web.Prefix+"written", "thread", e.GetEvent().GetThreadId(), "event", e.GetEvent().GetId(),
				"at", e.GetEvent().GetOccurredAt().AsTime().Format(time.RFC3339Nano))
		},
	}
}

// shown tells what a browser may show in its window; anything else it keeps as a file, so that no stranger's page runs here.
func shown(mediaType string) bool {
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf":
		return true
	}
	return strings.HasPrefix(mediaType, "audio/") || strings.HasPrefix(mediaType, "video/")
}

func (c *Content) file(call *web.Call) error {
	offset, length, ranged := byteRange(call.R.Header.Get("Range"))
	stream, err := blobv1.NewBlobServiceClient(c.site.API()).Download(call.Context(), &blobv1.DownloadRequest{
		Key: call.Form("key"), Offset: offset, Length: length,
	})
	if err != nil {
		return err
	}
	begun := false
	for {
		piece, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && begun:
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut the answer, so that the browser knows that this is not all of it
		case err != nil:
			return err
		}
		if info := piece.GetInfo(); info != nil {
			begun = true
			header(call, info, ranged)
		}
		if _, err := call.W.Write(piece.GetData()); err != nil {
			return nil //nolint:nilerr // the person is gone
		}
	}
}

func header(call *web.Call, info *blobv1.FileInfo, ranged bool) {
	mediaType, _, err := mime.ParseMediaType(info.GetMediaType())
	if err != nil || mediaType == "application/octet-stream" {
		mediaType, _, _ = mime.ParseMediaType(call.Form("type")) // where it is none, it is not shown
	}
	h := call.W.Header()
	disposition := "attachment"
	if shown(mediaType) {
		disposition = "inline"
	} else {
		mediaType = "application/octet-stream"
	}
	if name := call.Form("name"); name != "" {
		if with := mime.FormatMediaType(disposition, map[string]string{"filename": name}); with != "" {
			disposition = with
		}
	}
	h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox")
	h.Set("Content-Disposition", disposition)
	h.Set("Content-Type", mediaType)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(info.GetLength(), 10))
	h.Set("Cache-Control", "private, max-age=3600")
	if ranged {
		h.Set("Content-Range", "bytes "+strconv.FormatInt(info.GetOffset(), 10)+"-"+
			strconv.FormatInt(info.GetOffset()+info.GetLength()-1, 10)+"/"+strconv.FormatInt(info.GetSize(), 10))
		call.W.WriteHeader(http.StatusPartialContent)
	}
}

// byteRange reads the one form of range that players ask for; any other gets the whole file.
func byteRange(header string) (offset, length int64, ranged bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	from, until, two := strings.Cut(spec, "-")
	if !ok || !two {
		return 0, 0, false
	}
	offset, err := strconv.ParseInt(from, 10, 64)
	if err != nil || offset < 0 {
		return 0, 0, false
	}
	if last, err := strconv.ParseInt(until, 10, 64); err == nil && last >= offset {
		length = last - offset + 1
	}
	return offset, length, true
}

// written shows a mail as its writer made it: without scripts, forms and frames, in a sandbox, and without pictures from elsewhere unless they are
// asked for, since whoever sent it would learn that it is read.
func (c *Content) written(call *web.Call) error {
	at, err := time.Parse(time.RFC3339Nano, call.Form("at"))
	if err != nil {
		return call.Wrong(lang.T(call.Context(), "The moment of the mail is missing."))
	}
	answer, err := timelinev1.NewTimelineServiceClient(c.site.API()).List(call.Context(), &timelinev1.ListRequest{
		ThreadIds: []string{call.Form("thread")}, From: timestamppb.New(at), Until: timestamppb.New(at.Add(time.Nanosecond)), PageSize: 1000,
	})
	if err != nil {
		return err
	}
	for _, e := range answer.GetEntries() {
		if e.GetEvent().GetId() != call.Form("event") {
			continue
		}
		pictures := call.Form("pictures") != ""
		remote := ""
		if pictures {
			remote = " https: http:"
		}
		call.W.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"+remote+
			"; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox allow-same-origin")
		call.W.Header().Set("Referrer-Policy", "no-referrer")
		q := call.R.URL.Query()
		q.Set("pictures", "yes")
		return call.Letter(c.policy.Sanitize(c.inline(message(e).GetHtml(), e)), pictures, web.Prefix+"written?"+q.Encode())
	}
	return call.Wrong(lang.T(call.Context(), "There is no such mail."))
}

func message(e *timelinev1.Entry) *eventv1.Message {
	switch b := e.GetContent().GetBody().(type) {
	case *eventv1.Content_MessageReceived:
		return b.MessageReceived
	case *eventv1.Content_MessageSent:
		return b.MessageSent
	}
	return nil
}

// inline puts the addresses of a mail's own pictures into the places of their content ids.
func (c *Content) inline(html string, e *timelinev1.Entry) string {
	var pairs []string
	for _, a := range e.GetContent().GetAttachments() {
		if id := strings.Trim(a.GetContentId(), "<>"); id != "" && a.GetBlob().GetKey() != "" {
			pairs = append(pairs, "cid:"+id, Files().File(a), "cid:"+url.PathEscape(id), Files().File(a))
		}
	}
	return strings.NewReplacer(pairs...).Replace(html)
}
