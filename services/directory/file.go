package directory

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// section is the list of the entries of a kind.
type section struct {
	name, kind string
	entry      func() *eventv1.DirectoryUpdated
}

// sections are the lists of a file, in the order in which one builds on another.
func sections() []section {
	return []section{
		{"hours", directory.Hours, func() *eventv1.DirectoryUpdated {
			return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{}}}
		}},
		{"queues", directory.Queue, func() *eventv1.DirectoryUpdated {
			return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{}}}
		}},
		{"teams", directory.Team, func() *eventv1.DirectoryUpdated {
			return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{}}}
		}},
		{"agents", directory.Agent, func() *eventv1.DirectoryUpdated {
			return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{}}}
		}},
		{"settings", directory.Setting, func() *eventv1.DirectoryUpdated { return &eventv1.DirectoryUpdated{} }},
	}
}

// Names of what the file itself has.
const (
	validFrom = "valid_from"
	anID      = "id"
)

// File is entries as people write them, in YAML.
type File struct {
	// Entries are in the order of the file.
	Entries []*eventv1.DirectoryUpdated
	// Kinds are those of which the file has a list, be it an empty one.
	Kinds []string
	// ValidFrom is from when on entries hold that do not say so themselves; nil for now.
	ValidFrom *timestamppb.Timestamp

	name   string
	fields []string       // of each entry, its place in the file
	lines  map[string]int // by field
}

// FileError is something that is wrong with a file.
type FileError struct {
	File   string
	Line   int
	Field  string // within the file, such as agents[2].skills.german; empty for the whole
	Reason string
}

// Error tells where and what.
func (e *FileError) Error() string {
	place := e.File + ":" + strconv.Itoa(e.Line) + ": "
	if e.Field == "" {
		return place + e.Reason
	}
	return place + e.Field + ": " + e.Reason
}

// ReadFile reads a file. Entries hold from the moment that they state, else from the one that is given, which may be nil, else from that of the
// file; without any of them they state none. The error joins a *FileError for each thing that is wrong. Whether what they refer to is there
// only the server knows.
func ReadFile(name string, data []byte, from *timestamppb.Timestamp) (*File, error) {
	f := &File{ValidFrom: from, name: name, lines: map[string]int{}}
	r := &reader{file: f}
	r.read(data)
	if len(r.wrong) == 0 {
		r.check()
	}
	slices.SortStableFunc(r.wrong, func(a, b *FileError) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, len(r.wrong))
	for i, w := range r.wrong {
		errs[i] = w
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

// Wrong tells where in the file something is that is wrong with an entry, by the field that a server names: queue.service_level.goal.
func (f *File) Wrong(entry int, field, reason string) error { return f.wrong(entry, field, reason) }

func (f *File) wrong(entry int, field, reason string) *FileError {
	if entry < 0 || entry >= len(f.Entries) {
		return &FileError{File: f.name, Line: 1, Field: field, Reason: reason}
	}
	if own := said(f.Entries[entry]); own != "" {
		field = strings.TrimPrefix(strings.TrimPrefix(field, own), ".")
	}
	field = strings.NewReplacer(`["`, ".", `"]`, "").Replace(field)
	whole := strings.TrimSuffix(f.fields[entry]+"."+field, ".")
	for at := whole; ; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if line := f.lines[at]; line > 0 || at == "" {
			return &FileError{File: f.name, Line: max(line, 1), Field: whole, Reason: reason}
		}
	}
}

// reader reads one file.
type reader struct {
	file  *File
	wrong []*FileError
}

func (r *reader) add(n *yaml.Node, field, reason string) {
	r.wrong = append(r.wrong, &FileError{File: r.file.name, Line: n.Line, Field: field, Reason: reason})
}

func (r *reader) read(data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			line, reason := yamlError(err)
			r.wrong = append(r.wrong, &FileError{File: r.file.name, Line: line, Reason: reason})
		}
		return
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		r.add(&doc, "", "is more than one document")
		return
	}
	root := doc.Content[0]
	if absent(root) {
		return
	}
	lists := map[string]*yaml.Node{}
	r.mapping(root, "", func(key string, value *yaml.Node) bool {
		known := slices.ContainsFunc(sections(), func(s section) bool { return s.name == key })
		switch {
		case key == validFrom && !absent(value):
			if at, ok := r.timestamp(value, key); ok && r.file.ValidFrom == nil {
				r.file.ValidFrom = at
			}
		case known:
			lists[key] = value
		}
		return known || key == validFrom
	})
	for _, s := range sections() {
		if lists[s.name] == nil {
			continue
		}
		r.file.Kinds = append(r.file.Kinds, s.kind)
		r.sequence(lists[s.name], s.name, func(field string, n *yaml.Node) { r.entry(s, n, field) })
	}
}

// yamlError takes the line out of what the parser says.
func yamlError(err error) (line int, reason string) {
	reason = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		number, what, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			return n, what
		}
	}
	return 1, reason
}

func (r *reader) entry(s section, n *yaml.Node, field string) {
	e := s.entry()
	e.Kind, e.ValidFrom = s.kind, r.file.ValidFrom
	said := protoreflect.Message(nil)
	own := e.ProtoReflect()
	if set := own.WhichOneof(own.Descriptor().Oneofs().ByName("entry")); set != nil {
		said = own.Get(set).Message()
	}
	r.mapping(n, field, func(key string, value *yaml.Node) bool {
		at := field + "." + key
		switch key {
		case validFrom, anID, "attributes", "removed":
			r.field(value, own, own.Descriptor().Fields().ByName(protoreflect.Name(key)), at)
			return true
		}
		if said == nil {
			return false
		}
		d := said.Descriptor().Fields().ByName(protoreflect.Name(key))
		if d != nil {
			r.field(value, said, d, at)
		}
		return d != nil
	})
	r.file.Entries, r.file.fields = append(r.file.Entries, e), append(r.file.fields, field)
}

// check tells what is wrong with what was read.
func (r *reader) check() {
	type stated struct{ kind, id, from string }
	first := map[stated]int{}
	for i, e := range r.file.Entries {
		now := e.GetValidFrom()
		if now == nil {
			now = timestamppb.New(timeOf(0)) // whatever it will be
		}
		form, wrong := usual(e, now)
		if wrong.Reason != "" {
			r.wrong = append(r.wrong, r.file.wrong(i, wrong.Field, wrong.Reason))
			continue
		}
		for _, w := range check(form) {
			r.wrong = append(r.wrong, r.file.wrong(i, w.Field, w.Reason))
		}
		key := stated{e.GetKind(), e.GetId(), e.GetValidFrom().String()}
		if j, twice := first[key]; twice {
			r.wrong = append(r.wrong, r.file.wrong(i, "", fmt.Sprintf("%s %q stands in line %d already", key.kind, key.id, r.file.lines[r.file.fields[j]])))
			continue
		}
		first[key] = i
	}
}

// absent tells of a value that is left empty.
func absent(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// mapping yields what a mapping has; yield tells whether it knows the key.
func (r *reader) mapping(n *yaml.Node, field string, yield func(key string, value *yaml.Node) bool) {
	r.file.lines[field] = n.Line
	if absent(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.add(n, field, "is no mapping, such as name: value")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(field+"."+key.Value, ".")
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			r.add(key, field, "has a key that is no name")
		case seen[key.Value]:
			r.add(key, at, "stands twice")
		case r.plain(value, at):
			r.file.lines[at] = key.Line
			if !yield(key.Value, value) {
				r.add(key, at, "is not known here")
			}
		}
		seen[key.Value] = true
	}
}

// plain refuses anchors: a file that says everything where it holds can be read, and is not larger than it looks.
func (r *reader) plain(n *yaml.Node, field string) bool {
	if n.Kind == yaml.AliasNode {
		r.add(n, field, "is an alias: write the value itself")
		return false
	}
	return true
}

func (r *reader) sequence(n *yaml.Node, field string, yield func(field string, n *yaml.Node)) {
	if absent(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.add(n, field, "is no list, such as [a, b]")
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", field, i)
		if r.plain(item, at) {
			r.file.lines[at] = item.Line
			yield(at, item)
		}
	}
}

// message reads the fields of a message.
func (r *reader) message(n *yaml.Node, m protoreflect.Message, field string) {
	if short := shortened(m.Descriptor()); short != nil && n.Kind == yaml.ScalarNode {
		r.field(n, m, short, field)
		return
	}
	r.mapping(n, field, func(key string, value *yaml.Node) bool {
		d := m.Descriptor().Fields().ByName(protoreflect.Name(key))
		if d != nil {
			r.field(value, m, d, field+"."+key)
		}
		return d != nil
	})
}

// shortened is the field that stands for a whole message, where there is nothing else: an id of every provider, a number of contacts.
func shortened(d protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	switch d.FullName() {
	case (&eventv1.NativeId{}).ProtoReflect().Descriptor().FullName():
		return d.Fields().ByName(anID)
	case (&eventv1.ChannelCapacity{}).ProtoReflect().Descriptor().FullName():
		return d.Fields().ByName("maximum")
	}
	return nil
}

func (r *reader) field(n *yaml.Node, m protoreflect.Message, d protoreflect.FieldDescriptor, field string) {
	switch {
	case absent(n):
	case d.IsList():
		list := m.Mutable(d).List()
		r.sequence(n, field, func(at string, item *yaml.Node) {
			if v, ok := r.value(item, list.NewElement, d, at); ok {
				list.Append(v)
			}
		})
	case d.IsMap():
		of := m.Mutable(d).Map()
		r.mapping(n, field, func(key string, value *yaml.Node) bool {
			if v, ok := r.value(value, of.NewValue, d.MapValue(), field+"."+key); ok {
				of.Set(protoreflect.ValueOfString(key).MapKey(), v)
			}
			return true
		})
	default:
		if v, ok := r.value(n, func() protoreflect.Value { return m.NewField(d) }, d, field); ok {
			m.Set(d, v)
		}
	}
}

// value reads one value; false where it is wrong.
func (r *reader) value(n *yaml.Node, empty func() protoreflect.Value, d protoreflect.FieldDescriptor, field string) (protoreflect.Value, bool) {
	if absent(n) {
		r.add(n, field, "is empty")
		return protoreflect.Value{}, false
	}
	if d.Kind() == protoreflect.MessageKind {
		switch d.Message().FullName() {
		case (&timestamppb.Timestamp{}).ProtoReflect().Descriptor().FullName():
			at, ok := r.timestamp(n, field)
			return protoreflect.ValueOfMessage(at.ProtoReflect()), ok
		case (&durationpb.Duration{}).ProtoReflect().Descriptor().FullName():
			length, err := time.ParseDuration(n.Value)
			if err != nil || n.Kind != yaml.ScalarNode {
				r.add(n, field, "is no duration, such as 20s, 15m or 8h30m")
				return protoreflect.Value{}, false
			}
			return protoreflect.ValueOfMessage(durationpb.New(length).ProtoReflect()), true
		}
		v := empty()
		r.message(n, v.Message(), field)
		return v, true
	}
	if n.Kind != yaml.ScalarNode {
		r.add(n, field, "is no single value")
		return protoreflect.Value{}, false
	}
	switch d.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(n.Value), true // as it is written: 007 is no number, and no is not false
	case protoreflect.BoolKind:
		if n.Value == "true" || n.Value == "false" {
			return protoreflect.ValueOfBool(n.Value == "true"), true
		}
		r.add(n, field, "is neither true nor false")
	case protoreflect.Int32Kind:
		if i, err := strconv.ParseInt(n.Value, 10, 32); err == nil {
			return protoreflect.ValueOfInt32(int32(i)), true
		}
		r.add(n, field, "is no whole number")
	case protoreflect.DoubleKind:
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return protoreflect.ValueOfFloat64(f), true
		}
		r.add(n, field, "is no number, such as 0.8")
	default:
		r.add(n, field, "cannot be written in a file")
	}
	return protoreflect.Value{}, false
}

func (r *reader) timestamp(n *yaml.Node, field string) (*timestamppb.Timestamp, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, n.Value); err == nil && n.Kind == yaml.ScalarNode {
			return timestamppb.New(at), true
		}
	}
	r.add(n, field, "is no moment, such as 2026-03-01T09:00:00+01:00, or 2026-03-01 for its midnight in UTC")
	return nil, false
}

// WriteFile writes entries as ReadFile reads them, in the order of sections, and else in theirs. Moments says that each entry states from
// when on it holds: without, the file says what is so from the moment at which it is read.
func WriteFile(w io.Writer, entries []*eventv1.DirectoryUpdated, moments bool) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range sections() {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range entries {
			if e.GetKind() == s.kind {
				list.Content = append(list.Content, written(e, moments))
			}
		}
		if len(list.Content) > 0 {
			root.Content = append(root.Content, text(s.name), list)
		}
	}
	if len(root.Content) == 0 {
		return nil // an empty file is an empty directory
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("directory: write a file: %w", err)
	}
	return encoder.Close()
}

func written(e *eventv1.DirectoryUpdated, moments bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	own := e.ProtoReflect()
	name := func(names ...protoreflect.Name) {
		for _, name := range names {
			if d := own.Descriptor().Fields().ByName(name); own.Has(d) {
				n.Content = append(n.Content, text(string(name)), shown(own.Get(d), d))
			}
		}
	}
	name(anID)
	if moments {
		name(validFrom)
	}
	name("removed")
	if set := own.WhichOneof(own.Descriptor().Oneofs().ByName("entry")); set != nil {
		n.Content = append(n.Content, shownMessage(own.Get(set).Message()).Content...)
	}
	name("attributes")
	return n
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if s == "<<" || strings.ContainsAny(s, "\t\n") { // as a key it would be a merge; as a block, a line that begins with a tab is not read back
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func shownMessage(m protoreflect.Message) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if d := fields.Get(i); m.Has(d) {
			n.Content = append(n.Content, text(string(d.Name())), shown(m.Get(d), d))
		}
	}
	return n
}

func shown(v protoreflect.Value, d protoreflect.FieldDescriptor) *yaml.Node {
	switch {
	case d.IsList():
		n := &yaml.Node{Kind: yaml.SequenceNode}
		list := v.List()
		for i := range list.Len() {
			n.Content = append(n.Content, shownValue(list.Get(i), d))
		}
		return n
	case d.IsMap():
		n := &yaml.Node{Kind: yaml.MappingNode}
		all := map[string]protoreflect.Value{}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			all[k.String()] = v
			return true
		})
		for _, key := range slices.Sorted(maps.Keys(all)) {
			n.Content = append(n.Content, text(key), shownValue(all[key], d.MapValue()))
		}
		return n
	}
	return shownValue(v, d)
}

func shownValue(v protoreflect.Value, d protoreflect.FieldDescriptor) *yaml.Node {
	scalar := func(tag, value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value} }
	switch d.Kind() { //nolint:exhaustive // entries have these
	case protoreflect.MessageKind:
		switch m := v.Message().Interface().(type) {
		case *timestamppb.Timestamp:
			return scalar("!!timestamp", m.AsTime().Format(time.RFC3339Nano))
		case *durationpb.Duration:
			return text(m.AsDuration().String())
		}
		n, short := shownMessage(v.Message()), shortened(d.Message())
		if short != nil && len(n.Content) == 2 && n.Content[0].Value == string(short.Name()) {
			return n.Content[1]
		}
		return n
	case protoreflect.BoolKind:
		return scalar("!!bool", strconv.FormatBool(v.Bool()))
	case protoreflect.Int32Kind:
		return scalar("!!int", strconv.FormatInt(v.Int(), 10))
	case protoreflect.DoubleKind:
		return scalar("!!float", strconv.FormatFloat(v.Float(), 'g', -1, 64))
	}
	return text(v.String())
}
