package cloudevents

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/binding"
	ce "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/skein-cx/skein/pkg/event"
)

// parsed is one event of a request, or what is wrong with it.
type parsed struct {
	ce.Event
	origin
	wrong []event.Violation
}

// unwrap gives what a request holds as JSON: an event or a list of them. An event in binary mode is written in structured mode.
func unwrap(r *http.Request, body []byte) ([]byte, error) {
	stated := r.Header.Get("Content-Type")
	mediaType, parameters, err := mime.ParseMediaType(stated)
	switch {
	case stated != "" && err != nil:
		return nil, request("Content-Type", "is no media type")
	case mediaType == ce.ApplicationCloudEventsJSON, mediaType == ce.ApplicationCloudEventsBatchJSON:
		if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			return nil, request("Content-Type", "must have the charset utf-8")
		}
		opening := byte('{')
		if mediaType == ce.ApplicationCloudEventsBatchJSON {
			opening = '['
		}
		if text := bytes.TrimLeft(body, " \t\r\n"); len(text) == 0 || text[0] != opening {
			return nil, request("", "the body is not what "+mediaType+" says: it must begin with "+string(opening))
		}
		return body, nil
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return nil, request("Content-Type", "must be "+ce.ApplicationCloudEventsJSON+" or "+ce.ApplicationCloudEventsBatchJSON+", or that of the data beside ce- headers")
	case r.Header.Get("Ce-Specversion") == "":
		return nil, request("Content-Type", "must be "+ce.ApplicationCloudEventsJSON+" or "+ce.ApplicationCloudEventsBatchJSON+"; or there must be the headers ce-specversion, ce-id, ce-source and ce-type")
	}
	return fromBinary(r.Context(), r.Header, body)
}

// fromBinary writes an event that came in binary mode in structured mode.
func fromBinary(ctx context.Context, h http.Header, body []byte) ([]byte, error) {
	header := http.Header{}
	if t := h.Get("Content-Type"); t != "" {
		header.Set("Content-Type", t)
	}
	var wrong invalidError
	for name, values := range h {
		attribute, ok := strings.CutPrefix(name, "Ce-")
		if !ok {
			continue
		}
		attribute = strings.ToLower(attribute)
		value := decodeHeader(values[0])
		switch {
		case attribute == "" || strings.Trim(attribute, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
			wrong.of(origin{}, []event.Violation{{Field: "ce-" + attribute, Reason: "is no name of an attribute: letters and digits only"}})
		case attribute == "data", attribute == "datacontenttype":
			wrong.of(origin{}, []event.Violation{{Field: "ce-" + attribute, Reason: "is none of binary mode: the body is the data, and Content-Type its type"}})
		case len(values) > 1:
			wrong.of(origin{}, []event.Violation{{Field: attribute, Reason: "is stated more than once"}})
		case !utf8.ValidString(value):
			wrong.of(origin{}, []event.Violation{{Field: attribute, Reason: "is not valid UTF-8"}})
		default:
			header["Ce-"+strings.ToUpper(attribute[:1])+attribute[1:]] = []string{value}
			wrong.of(origin{}, attributeText(attribute, value))
		}
	}
	if len(wrong.list) > 0 {
		slices.SortFunc(wrong.list, func(a, b mistake) int { return strings.Compare(a.Field, b.Field) })
		return nil, &wrong
	}
	e, err := convert(ctx, header, body)
	if err != nil {
		wrong.of(origin{}, violations(err))
		return nil, &wrong
	}
	if t := e.DataMediaType(); len(body) > 0 && !utf8.Valid(body) || t == "" && !json.Valid(body) {
		e.DataBase64 = true
	} else if isJSON(t) && len(body) > 0 && !json.Valid(body) {
		return nil, request("data", "is no JSON, which Content-Type says it is")
	}
	payload, err := marshal(e)
	if err != nil {
		return nil, request("", "cannot be written as JSON: "+err.Error())
	}
	return payload, nil
}

// decodeHeader gives what a header means: quoted texts and percent-encoding are of the binding (section 3.1.3.2). What is not
// encoded well stands for itself.
func decodeHeader(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
		var b strings.Builder
		for i := 0; i < len(value); i++ {
			if value[i] == '\\' && i+1 < len(value) {
				i++
			}
			b.WriteByte(value[i])
		}
		value = b.String()
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}

// parse reads a payload. The error is one of the whole; what is wrong with an event stands there.
func parse(ctx context.Context, payload []byte) ([]parsed, error) {
	if !utf8.Valid(payload) {
		return nil, request("", "the body is not valid UTF-8")
	}
	items := []json.RawMessage{payload}
	if text := bytes.TrimLeft(payload, " \t\r\n"); len(text) > 0 && text[0] == '[' {
		items = nil
		if err := json.Unmarshal(payload, &items); err != nil {
			return nil, request("", "the body is no list as JSON: "+err.Error())
		}
	}
	if len(items) > maxEvents {
		return nil, request("", fmt.Sprintf("the batch has %d events, and may have %d", len(items), maxEvents))
	}
	all := make([]parsed, len(items))
	for i, item := range items {
		all[i] = read(ctx, item)
		all[i].index = i
	}
	return all, nil
}

// read reads one event in structured mode. The fields are looked at first, so that each mistake has a name; then the SDK reads it.
func read(ctx context.Context, item []byte) (p parsed) {
	fail := func(field, reason string) { p.wrong = append(p.wrong, event.Violation{Field: field, Reason: reason}) }
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(item, &fields); err != nil || fields == nil {
		fail("", "is no object as JSON"+because(err))
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		if string(raw) == "null" {
			delete(fields, name) // the JSON format takes it for absent
			continue
		}
		var text string
		isText := name != "data" && json.Unmarshal(raw, &text) == nil
		switch name {
		case "data":
		case "data_base64":
			if _, err := base64.StdEncoding.DecodeString(text); !isText || err != nil {
				fail(name, "is no base64")
			}
		case "id", "source", "type", "specversion", "subject", "time", "dataschema", "datacontenttype":
			if !isText {
				fail(name, "must be a text")
				continue
			}
			p.wrong = append(p.wrong, attributeText(name, text)...)
		default:
			if !isText {
				if reason := noScalar(raw); reason != "" {
					fail(name, reason)
				}
			}
			if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
				fail(name, "is no name of an attribute: lower-case letters and digits only")
			}
		}
	}
	if fields["data"] != nil && fields["data_base64"] != nil {
		fail("data_base64", "stands beside data: there can be one of them only")
	}
	for _, name := range []string{"specversion", "id", "source", "type"} {
		if fields[name] == nil {
			fail(name, "is missing")
		}
	}
	_ = json.Unmarshal(fields["id"], &p.id) // for who is told; whether it is good was checked
	if len(p.wrong) > 0 {
		return p
	}
	clean, err := marshal(fields) // without what is null, which the SDK does not expect
	if err != nil {
		fail("", err.Error())
		return p
	}
	e, err := convert(ctx, http.Header{"Content-Type": {ce.ApplicationCloudEventsJSON}}, clean)
	if err != nil {
		p.wrong = violations(err)
		return p
	}
	p.Event = *e
	return p
}

// noScalar says why a value that is no text cannot be an attribute's.
func noScalar(raw []byte) string {
	var scalar any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	_ = decoder.Decode(&scalar) // it was read before
	switch n := scalar.(type) {
	case bool:
	case json.Number:
		if i, err := n.Int64(); err != nil || i != int64(int32(i)) {
			return "must be an integer of 32 bits; write it as a text"
		}
	default:
		return "must be a text, a boolean or an integer"
	}
	return ""
}

// violations are what the SDK finds wrong, by attribute where it says so.
func violations(err error) []event.Violation {
	invalid, ok := errors.AsType[ce.ValidationError](err)
	if !ok {
		return []event.Violation{{Reason: err.Error()}}
	}
	var all []event.Violation
	for _, name := range slices.Sorted(maps.Keys(invalid)) {
		all = append(all, event.Violation{Field: name, Reason: invalid[name].Error()})
	}
	return all
}

// attributeText checks the text of an attribute by the SDK's own types.
func attributeText(name, text string) []event.Violation {
	reason := ""
	switch name {
	case "specversion":
		if text != ce.CloudEventsVersionV1 {
			reason = "must be " + ce.CloudEventsVersionV1
		}
	case "time":
		if _, err := types.ParseTime(text); err != nil {
			reason = "is no time as RFC 3339"
		}
	case "source":
		if types.ParseURIRef(text) == nil {
			reason = "is no URI reference"
		}
	case "dataschema":
		if types.ParseURI(text) == nil {
			reason = "is no URI"
		}
	case "datacontenttype":
		if _, _, err := mime.ParseMediaType(text); err != nil {
			reason = "is no media type"
		}
	}
	switch name {
	case "id", "source", "type", "subject", "specversion":
		if strings.TrimSpace(text) == "" {
			reason = "must not be empty"
		}
	}
	if reason == "" {
		return nil
	}
	return []event.Violation{{Field: name, Reason: reason}}
}

// convert lets the SDK read and check an event. Some malformed ones make it panic.
func convert(ctx context.Context, header http.Header, body []byte) (e *ce.Event, err error) {
	defer func() {
		if recover() != nil {
			e, err = nil, errors.New("cannot be read")
		}
	}()
	e, err = binding.ToEvent(ctx, cehttp.NewMessage(header, io.NopCloser(bytes.NewReader(body))))
	if err != nil {
		return nil, err
	}
	return e, e.Validate()
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// isJSON tells whether a media type is JSON's, or one of those that end with +json.
func isJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}
