package vcon

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// MaxSize is how large a vCon may be, in bytes, compressed or not.
const MaxSize = 64 << 20

// PathError tells what is wrong with a vCon.
type PathError struct {
	// Path is the JSON path of the part, such as $.dialog[3].start.
	Path string
	// Reason completes the sentence that the path begins.
	Reason string
}

// Error names the path and the reason.
func (e *PathError) Error() string { return "vcon: " + e.Path + " " + e.Reason }

func wrong(path, reason string) error { return &PathError{path, reason} }

// Note tells of a part that was left out.
type Note struct {
	// Path is the JSON path of the part, or the id of an event.
	Path string `json:"path"`
	// Text says why it was left out.
	Text string `json:"text"`
}

// The schema is a code component of the draft; schema/LICENSE has its terms.
//
//go:embed schema/vcon_json_schema.json
var schemaJSON []byte

// Reader reads vCons. It is safe for concurrent use.
type Reader struct {
	schema   *jsonschema.Schema
	members  map[string]members // of the objects that the schema defines, by name
	verifier Verifier
	unsigned bool
	printer  *message.Printer
}

// members are the names of an object's members, with the object that each holds or lists, where it does.
type members map[string]string

// NewReader makes a reader that takes signed vCons whose signer the verifier trusts, and unsigned ones only where that is allowed.
func NewReader(v Verifier, allowUnsigned bool) (*Reader, error) {
	const name = "vcon_json_schema.json"
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		return nil, fmt.Errorf("vcon: the schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		return nil, fmt.Errorf("vcon: the schema: %w", err)
	}
	r := &Reader{verifier: v, unsigned: allowUnsigned, printer: message.NewPrinter(language.English)}
	if r.schema, err = c.Compile(name); err != nil {
		return nil, fmt.Errorf("vcon: the schema: %w", err)
	}
	r.members, err = membersOf(schemaJSON)
	return r, err
}

// whole is the name of the object that is the whole vCon.
const whole = "$"

// membersOf reads from the schema which members there are.
func membersOf(raw []byte) (map[string]members, error) {
	type object struct {
		Ref        string             `json:"$ref"`
		Items      *object            `json:"items"`
		Properties map[string]*object `json:"properties"`
	}
	var schema struct {
		Properties  map[string]*object `json:"properties"`
		Definitions map[string]*object `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("vcon: the schema: %w", err)
	}
	all := map[string]members{}
	var add func(name string, properties map[string]*object)
	add = func(name string, properties map[string]*object) {
		all[name] = members{}
		for member, p := range properties {
			all[name][member] = ""
			if p.Items != nil {
				p = p.Items
			}
			switch {
			case p.Ref != "":
				all[name][member] = strings.TrimPrefix(p.Ref, "#/definitions/")
			case p.Properties != nil:
				all[name][member] = member
				add(member, p.Properties)
			}
		}
	}
	add(whole, schema.Properties)
	for name, o := range schema.Definitions {
		add(name, o.Properties)
	}
	return all, nil
}

// Read reads a vCon, signed or not, plain or gzip, and tells who signed it. What is valid and yet not understood is left out with a note. A
// *PathError tells what is wrong; ErrUnsigned and ErrNotTrusted tell that it may be right, and is not taken in nevertheless.
func (r *Reader) Read(raw []byte) (v *VCon, signer string, notes []Note, err error) {
	if raw, err = unpack("$", raw); err != nil {
		return nil, "", nil, err
	}
	var form map[string]json.RawMessage
	if err := json.Unmarshal(raw, &form); err != nil {
		return nil, "", nil, wrong("$", "is no JSON object: "+err.Error())
	}
	uuid := ""
	switch {
	case form["payload"] != nil && form["signatures"] != nil:
		if raw, signer, uuid, err = r.verifier.verify(raw); err != nil {
			return nil, "", nil, err
		}
		if raw, err = unpack("$.payload", raw); err != nil {
			return nil, "", nil, err
		}
	case form["ciphertext"] != nil:
		return nil, "", nil, wrong("$.ciphertext", "is encrypted: decrypt it first")
	case !r.unsigned:
		return nil, "", nil, ErrUnsigned
	}
	if v, notes, err = r.parse(raw); err != nil {
		return nil, "", nil, err
	}
	if uuid != "" && !strings.EqualFold(uuid, v.UUID) {
		return nil, "", nil, wrong("$.signatures[0].header.uuid", "is not the uuid of what was signed, "+v.UUID)
	}
	return v, signer, notes, nil
}

// unpack undoes gzip.
func unpack(path string, raw []byte) ([]byte, error) {
	if len(raw) > MaxSize {
		return nil, wrong(path, "is larger than 64 MiB")
	}
	if !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		return raw, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(z, MaxSize+1))
	}
	switch {
	case err != nil:
		return nil, wrong(path, "cannot be decompressed: "+err.Error())
	case len(raw) > MaxSize:
		return nil, wrong(path, "is larger than 64 MiB")
	}
	return raw, nil
}

// parse reads the unsigned form.
func (r *Reader) parse(raw []byte) (*VCon, []Note, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, wrong("$", "is no JSON: "+err.Error())
	}
	if err := r.schema.Validate(doc); err != nil {
		return nil, nil, r.explain(err)
	}
	top, _ := doc.(map[string]any) // the schema says so
	if top["redacted"] != nil && top["amended"] != nil {
		return nil, nil, wrong("$.amended", "stands beside redacted: they exclude one another")
	}
	var notes []Note
	r.strip(whole, whole, top, &notes)
	known, err := encode(top)
	if err != nil {
		return nil, nil, wrong("$", err.Error())
	}
	v := &VCon{}
	if err := json.Unmarshal(known, v); err != nil {
		return nil, nil, wrong("$", "cannot be read: "+err.Error())
	}
	if err := v.check(); err != nil {
		return nil, nil, err
	}
	return v, notes, nil
}

// explain makes the schema's verdict an error of ours: the innermost part that is wrong.
func (r *Reader) explain(err error) error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return wrong("$", err.Error())
	}
	for len(invalid.Causes) > 0 {
		deepest := invalid.Causes[0]
		for _, c := range invalid.Causes[1:] {
			if len(c.InstanceLocation) > len(deepest.InstanceLocation) {
				deepest = c
			}
		}
		invalid = deepest
	}
	return wrong(jsonPath(invalid.InstanceLocation), "is wrong: "+invalid.ErrorKind.LocalizedString(r.printer))
}

func jsonPath(location []string) string {
	var b strings.Builder
	b.WriteString("$")
	for _, part := range location {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		b.WriteString("." + part)
	}
	return b.String()
}

// strip removes what the schema does not know, and what there is no place for, and notes it.
func (r *Reader) strip(path, name string, o map[string]any, notes *[]Note) {
	for _, member := range slices.Sorted(maps.Keys(o)) {
		inner, known := r.members[name][member]
		at := path + "." + member
		switch {
		case !known:
			*notes = append(*notes, Note{at, "is not known"})
			delete(o, member)
			continue
		case slices.Contains(homeless(name), member):
			*notes = append(*notes, Note{at, "has no counterpart and is not kept"})
			delete(o, member)
			continue
		case inner == "":
			continue
		}
		switch value := o[member].(type) {
		case map[string]any:
			r.strip(at, inner, value, notes)
		case []any:
			for i, one := range value {
				if object, ok := one.(map[string]any); ok {
					r.strip(at+"["+strconv.Itoa(i)+"]", inner, object, notes)
				}
			}
		}
	}
}

// homeless are members of an object that the schema knows and no event has a place for.
func homeless(name string) []string {
	switch name {
	case whole:
		return []string{"redacted", "amended", "extensions"}
	case "Party":
		return []string{"stir", "validation", "gmlpos", "civicaddress", "org", "dept"}
	case "Dialog":
		return []string{"session_id"}
	}
	return nil
}

// check finds what the schema cannot: indices that point nowhere, and members that exclude or need one another.
func (v *VCon) check() error {
	if _, err := moment("$.created_at", v.CreatedAt); err != nil {
		return err
	}
	if len(v.Critical) > 0 {
		return wrong("$.critical[0]", fmt.Sprintf("asks for the extension %q, which is not known", v.Critical[0]))
	}
	for i, d := range v.Dialog {
		if err := v.checkDialog(fmt.Sprintf("$.dialog[%d]", i), d); err != nil {
			return err
		}
	}
	for i, a := range v.Attachments {
		path := fmt.Sprintf("$.attachments[%d]", i)
		_, err := moment(path+".start", a.Start)
		if err = errors.Join(err, within(path+".party", len(v.Parties), a.Party), within(path+".dialog", len(v.Dialog), a.Dialog), a.check(path)); err != nil {
			return first(err)
		}
	}
	for i, a := range v.Analysis {
		path := fmt.Sprintf("$.analysis[%d]", i)
		if err := errors.Join(within(path+".dialog", len(v.Dialog), a.Dialog...), within(path+".attachment", len(v.Attachments), a.Attachment...), a.check(path)); err != nil {
			return first(err)
		}
	}
	return nil
}

func (v *VCon) checkDialog(path string, d Dialog) error {
	parties, dialogs := len(v.Parties), len(v.Dialog)
	_, err := moment(path+".start", d.Start)
	err = errors.Join(err,
		within(path+".parties", parties, d.Parties.All()...), within(path+".originator", parties, one(d.Originator)...),
		within(path+".recordings", dialogs, d.Recordings...), within(path+".recording_set", dialogs, one(d.RecordingSet)...),
		within(path+".transferee", parties, one(d.Transferee)...), within(path+".transferor", parties, one(d.Transferor)...),
		within(path+".transfer_target", parties, d.TransferTarget...), within(path+".original", dialogs, d.Original...),
		within(path+".consultation", dialogs, d.Consultation...), within(path+".target_dialog", dialogs, d.TargetDialog...),
		d.check(path))
	if err != nil {
		return first(err)
	}
	hasContent := len(d.Body) > 0 || d.URL != ""
	switch {
	case d.Type == dialogIncomplete && d.Disposition == "":
		return wrong(path+".disposition", "is missing, which a dialog of the type incomplete needs")
	case d.Type == dialogTransfer && (d.Parties != nil || d.Originator != nil || d.Mediatype != "" || d.Filename != ""):
		return wrong(path, "is a transfer and must not have parties, originator, mediatype or filename")
	case (d.Type == dialogTransfer || d.Type == dialogIncomplete || d.Type == dialogSet) && hasContent:
		return wrong(path, "is of the type "+d.Type+" and must not have a body or url")
	}
	for i, h := range d.PartyHistory {
		at := fmt.Sprintf("%s.party_history[%d]", path, i)
		if _, err := moment(at+".time", h.Time); err != nil {
			return err
		}
		if err := within(at+".party", parties, h.Party); err != nil {
			return err
		}
		if (h.Event == historyKeyDown || h.Event == historyKeyUp) && h.Button == "" {
			return wrong(at+".button", "is missing, which "+h.Event+" needs")
		}
	}
	return nil
}

// check looks at a content's members together.
func (c Content) check(path string) error {
	var text string
	isText := json.Unmarshal(c.Body, &text) == nil
	switch {
	case len(c.Body) > 0 && c.URL != "":
		return wrong(path+".url", "stands beside a body: a content is either inline or elsewhere")
	case len(c.Body) > 0 && !isText && c.Encoding != encodingJSON && !(c.Encoding == "" && string(c.Body) == "null"):
		return wrong(path+".body", "must be a string unless the encoding is json")
	case len(c.Body) > 0 && c.Encoding == encodingBase64URL:
		if _, err := decode64(text); err != nil {
			return wrong(path+".body", "is no base64url: "+err.Error())
		}
	}
	return nil
}

// data is an inline content's bytes; false where there is none.
func (c Content) data() ([]byte, bool) {
	var text string
	isText := json.Unmarshal(c.Body, &text) == nil
	switch {
	case len(c.Body) == 0, string(c.Body) == "null":
		return nil, false
	case c.Encoding == encodingBase64URL:
		raw, err := decode64(text)
		return raw, err == nil
	case isText && c.Encoding != encodingJSON:
		return []byte(text), true
	}
	return c.Body, true
}

// decode64 reads base64url, with the padding that some add.
func decode64(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

func within(path string, size int, indices ...int) error {
	for _, i := range indices {
		if i < 0 || i >= size {
			return wrong(path, fmt.Sprintf("is or holds %d, and there are %d", i, size))
		}
	}
	return nil
}

func one(i *int) []int {
	if i == nil {
		return nil
	}
	return []int{*i}
}

// first is the first of joined errors.
func first(err error) error {
	if e, ok := errors.AsType[*PathError](err); ok {
		return e
	}
	return err
}

// moment reads a time that an event can have.
func moment(path, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	if err != nil {
		return time.Time{}, wrong(path, "is no time of RFC 3339")
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, wrong(path, "is no time of the years 1 to 9999")
	}
	return t, nil
}
