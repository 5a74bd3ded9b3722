package mapped

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// kept begins what is kept of a delivery whose mapping reads headers or the query.
const kept = `{"skein":"mapped/1",`

// delivery is what a mapping reads. As JSON it is kept among the dead letters.
type delivery struct {
	Skein   string            `json:"skein"`
	Headers map[string]string `json:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty"`
	// Body is JSON, and Form a form's text. One of them is there.
	Body json.RawMessage `json:"body,omitempty"`
	Form *string         `json:"form,omitempty"`
}

// unwrap gives what is read of a request, and kept where it is not understood: the body, or, where the mapping reads headers or
// the query, what it reads of them together with the body. A body that cannot be read is kept as it came.
func (in *inbox) unwrap(r *http.Request, body []byte) ([]byte, error) {
	if len(in.headers)+len(in.query) == 0 {
		return body, nil
	}
	if _, err := in.parse(body); err != nil {
		return nil, fmt.Errorf("custom/mapped: %w", err)
	}
	d := delivery{Headers: map[string]string{}}
	for _, name := range in.headers {
		if values := r.Header.Values(name); len(values) > 0 {
			d.Headers[name] = strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")
		}
	}
	d.Query = named(r.URL.Query(), in.query)
	return d.write(body, in.form())
}

// named are the parameters of some names, those that are there.
func named(query url.Values, names []string) map[string]string {
	found := map[string]string{}
	for _, name := range names {
		if query.Has(name) {
			found[name] = strings.ToValidUTF8(query.Get(name), "\uFFFD")
		}
	}
	return found
}

// write puts the body into the rest as it came, byte for byte: what a signature or an extension is made of stays the same.
func (d *delivery) write(body []byte, form bool) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(kept)
	for _, f := range []struct {
		name  string
		value any
		skip  bool
	}{{"headers", d.Headers, len(d.Headers) == 0}, {"query", d.Query, len(d.Query) == 0}, {"form", string(body), !form}} {
		if f.skip {
			continue
		}
		text, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("custom/mapped: keep a delivery: %w", err)
		}
		fmt.Fprintf(&b, "%q:%s,", f.name, text)
	}
	if form {
		b.Truncate(b.Len() - 1)
	} else {
		b.WriteString(`"body":`)
		b.Write(body)
	}
	b.WriteString("}")
	return b.Bytes(), nil
}

// readDelivery reads what unwrap gave, now or before the mapping was changed.
func readDelivery(payload []byte) (delivery, []byte, error) {
	if !bytes.HasPrefix(payload, []byte(kept)) {
		return delivery{}, payload, nil
	}
	var d delivery
	if err := json.Unmarshal(payload, &d); err != nil {
		return delivery{}, nil, fmt.Errorf("the payload cannot be read: %w", err)
	}
	switch {
	case d.Form != nil:
		return d, []byte(*d.Form), nil
	case d.Body != nil:
		return d, d.Body, nil
	}
	return delivery{}, nil, errors.New("the payload has no body")
}
