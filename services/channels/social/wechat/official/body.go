package official

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// The media types of what is delivered.
const (
	mediaXML  = "text/xml"
	mediaJSON = "application/json"
)

// maxDepth is how deep a JSON object may be; XML is bounded by wechat.DecodeXML.
const maxDepth = 32

// node is an element of XML, or a member of a JSON object. Both formats say the same by it: a list is several members of one name.
type node struct {
	name, text string
	kids       []node
}

// get gives the text below a path; empty where there is none.
func (n node) get(path ...string) string {
	for _, name := range path {
		i := slices.IndexFunc(n.kids, func(kid node) bool { return kid.name == name })
		if i < 0 {
			return ""
		}
		n = n.kids[i]
	}
	return n.text
}

// list gives the entries of a list: of <Name><List>…</List><List>…</List></Name>, or of several <Name>.
func (n node) list(name string) []node {
	var all []node
	for _, kid := range n.kids {
		if kid.name != name {
			continue
		}
		inner := len(all)
		for _, entry := range kid.kids {
			if entry.name == "List" {
				all = append(all, entry)
			}
		}
		if len(all) == inner {
			all = append(all, kid)
		}
	}
	return all
}

// parse reads a delivery in one of the two formats.
func parse(body []byte) (n node, mediaType string, err error) {
	if isJSON(body) {
		n, err = parseJSON(body)
		return n, mediaJSON, err
	}
	var root element
	if err := wechat.DecodeXML(body, &root); err != nil {
		return node{}, "", err
	}
	return root.node(), mediaXML, nil
}

func isJSON(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

type element struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Kids    []element `xml:",any"`
}

func (e element) node() node {
	n := node{name: e.XMLName.Local, text: e.Text}
	for _, kid := range e.Kids {
		n.kids = append(n.kids, kid.node())
	}
	return n
}

func parseJSON(body []byte) (node, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil {
		return node{}, fmt.Errorf("the body is no JSON object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, errors.New("something stands behind the JSON object")
	}
	return objectNode("", members, 1)
}

func objectNode(name string, members map[string]any, depth int) (node, error) {
	n := node{name: name}
	if depth > maxDepth {
		return n, errors.New("the JSON is too deep")
	}
	for key, member := range members {
		values, isList := member.([]any)
		if !isList {
			values = []any{member}
		}
		for _, value := range values {
			kid, err := valueNode(key, value, depth+1)
			if err != nil {
				return n, err
			}
			n.kids = append(n.kids, kid)
		}
	}
	return n, nil
}

func valueNode(name string, value any, depth int) (node, error) {
	switch v := value.(type) {
	case map[string]any:
		return objectNode(name, v, depth)
	case string:
		return node{name: name, text: v}, nil
	case json.Number:
		return node{name: name, text: v.String()}, nil
	case bool:
		return node{name: name, text: fmt.Sprint(v)}, nil
	}
	return node{name: name}, nil // null, or a list of lists
}

// withoutEncrypted leaves out what compatible mode adds to a clear delivery: the same once more, encrypted, and so never twice alike.
// What cannot be read stays as it is.
func withoutEncrypted(body []byte) []byte {
	if isJSON(body) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil || members["Encrypt"] == nil || members["MsgType"] == nil {
			return body
		}
		delete(members, "Encrypt")
		rest, err := json.Marshal(members)
		if err != nil {
			return body
		}
		return rest
	}
	if !bytes.Contains(body, []byte("Encrypt")) { // most deliveries: no need to read them for it
		return body
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	depth, begin, rest, typed := 0, int64(-1), body, false
	for {
		at := d.InputOffset()
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && typed {
			return rest
		}
		if err != nil {
			return body
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && t.Name.Local == "Encrypt" {
				begin = at
			}
			typed = typed || depth == 2 && t.Name.Local == "MsgType"
		case xml.EndElement:
			if depth--; depth == 1 && begin >= 0 && len(rest) == len(body) {
				rest = slices.Concat(body[:begin], body[d.InputOffset():])
			}
		}
	}
}
