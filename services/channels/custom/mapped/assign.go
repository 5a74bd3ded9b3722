package mapped

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// setter sets fields of a message.
type setter func(ctx context.Context, vars map[string]any, m protoreflect.Message) error

// giver gives the value of a field, or of one of its elements; false where there is none.
type giver func(ctx context.Context, vars map[string]any) (protoreflect.Value, bool, error)

// message compiles what stands in the configuration in the place of a message.
func (c *compiler) message(field string, m protoreflect.MessageDescriptor, node map[string]any) setter {
	var setters []setter
	for _, name := range slices.Sorted(maps.Keys(node)) {
		path := strings.TrimPrefix(field+"."+name, ".")
		fd := m.Fields().ByName(protoreflect.Name(name))
		if fd == nil || ours(fd) {
			c.fail(path, "there is no such field to set; there are "+strings.Join(fieldNames(m), ", "))
			continue
		}
		if s := c.field(path, fd, node[name]); s != nil {
			setters = append(setters, s)
		}
	}
	return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
		for _, s := range setters {
			if err := s(ctx, vars, m); err != nil {
				return err
			}
		}
		return nil
	}
}

// ours tells whether a field is Skein's to set, or refers to a blob, which no product has.
func ours(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && fd.Message().FullName() == "skein.event.v1.Blob"
}

func fieldNames(m protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range m.Fields().Len() {
		if fd := m.Fields().Get(i); !ours(fd) {
			names = append(names, string(fd.Name()))
		}
	}
	return names
}

// field compiles what stands in the place of a field.
func (c *compiler) field(path string, fd protoreflect.FieldDescriptor, node any) setter {
	switch node := node.(type) {
	case nil:
		return nil
	case map[string]any:
		switch {
		case fd.IsMap():
			return c.mapField(path, fd, node)
		case fd.IsList(), fd.Message() == nil, wellKnown(fd):
			c.fail(path, "it must be an expression, and no fields")
			return nil
		}
		set := c.message(path, fd.Message(), node)
		return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
			return set(ctx, vars, m.Mutable(fd).Message())
		}
	case []any:
		if !fd.IsList() {
			c.fail(path, "it is no list")
			return nil
		}
		return c.list(path, fd, node)
	}
	if fd.IsList() || fd.IsMap() {
		return c.whole(path, fd, node)
	}
	give := c.giver(path, fd, node)
	if give == nil {
		return nil
	}
	return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
		value, ok, err := give(ctx, vars)
		if err == nil && ok {
			m.Set(fd, value)
		}
		return err
	}
}

// list compiles a list element by element.
func (c *compiler) list(path string, fd protoreflect.FieldDescriptor, nodes []any) setter {
	var givers []giver
	for i, node := range nodes {
		at := fmt.Sprintf("%s[%d]", path, i)
		if fields, ok := node.(map[string]any); ok && fd.Message() != nil && !wellKnown(fd) {
			set := c.message(at, fd.Message(), fields)
			givers = append(givers, func(ctx context.Context, vars map[string]any) (protoreflect.Value, bool, error) {
				m, err := newMessage(fd)
				if err != nil {
					return protoreflect.Value{}, false, err
				}
				return protoreflect.ValueOfMessage(m), true, set(ctx, vars, m)
			})
			continue
		}
		if give := c.giver(at, fd, node); give != nil {
			givers = append(givers, give)
		}
	}
	return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
		list := m.Mutable(fd).List()
		for _, give := range givers {
			value, ok, err := give(ctx, vars)
			if err != nil {
				return err
			}
			if ok {
				list.Append(value)
			}
		}
		return nil
	}
}

// mapField compiles a map entry by entry.
func (c *compiler) mapField(path string, fd protoreflect.FieldDescriptor, node map[string]any) setter {
	givers := map[string]giver{}
	for _, key := range slices.Sorted(maps.Keys(node)) {
		if give := c.giver(path+"."+key, fd.MapValue(), node[key]); give != nil {
			givers[key] = give
		}
	}
	keys := slices.Sorted(maps.Keys(givers))
	return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
		entries := m.Mutable(fd).Map()
		for _, key := range keys {
			value, ok, err := givers[key](ctx, vars)
			if err != nil {
				return err
			}
			if ok {
				entries.Set(protoreflect.ValueOfString(key).MapKey(), value)
			}
		}
		return nil
	}
}

// whole compiles an expression that gives a whole list or map.
func (c *compiler) whole(path string, fd protoreflect.FieldDescriptor, node any) setter {
	source, ok := node.(string)
	if !ok {
		c.fail(path, "it must be an expression, or stand here element by element")
		return nil
	}
	wanted, want := "a list", cel.ListType(cel.DynType)
	if fd.IsMap() {
		wanted, want = "a map", cel.MapType(cel.DynType, cel.DynType)
	}
	x := c.compile(path, source, wanted, want)
	if x == nil {
		return nil
	}
	return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
		value, ok, err := x.eval(ctx, vars)
		if err != nil || !ok {
			return err
		}
		if err := set(m, fd, value); err != nil {
			return x.wrong(err)
		}
		return nil
	}
}

// giver compiles an expression in the place of a field, or of one of its elements.
func (c *compiler) giver(path string, fd protoreflect.FieldDescriptor, node any) giver {
	var source string
	switch node := node.(type) {
	case string:
		source = node
	case bool, int, int64, uint64, float64:
		source = fmt.Sprint(node)
	default:
		c.fail(path, "it must be an expression")
		return nil
	}
	if fd.Enum() != nil {
		if value := wordOf(fd.Enum(), source); value != nil {
			return func(context.Context, map[string]any) (protoreflect.Value, bool, error) {
				return protoreflect.ValueOfEnum(value.Number()), true, nil
			}
		}
	}
	wanted, want := typesOf(fd)
	x := c.compile(path, source, wanted, want...)
	if x == nil {
		return nil
	}
	return func(ctx context.Context, vars map[string]any) (protoreflect.Value, bool, error) {
		value, ok, err := x.eval(ctx, vars)
		if err != nil || !ok {
			return protoreflect.Value{}, false, err
		}
		result, err := convert(fd, value)
		if err != nil {
			return protoreflect.Value{}, false, x.wrong(err)
		}
		return result, true, nil
	}
}

// wellKnown tells whether a field is a time or a duration, which CEL knows.
func wellKnown(fd protoreflect.FieldDescriptor) bool {
	switch fd.Message().FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		return true
	}
	return false
}

// typesOf are what an expression in the place of a field may give, and how to say that.
func typesOf(fd protoreflect.FieldDescriptor) (string, []*cel.Type) {
	switch {
	case fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Timestamp":
		return "a timestamp, or a text as RFC 3339", []*cel.Type{cel.TimestampType, cel.StringType}
	case fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Duration":
		return "a duration, or seconds", []*cel.Type{cel.DurationType, cel.IntType, cel.DoubleType}
	case fd.Message() != nil:
		return "a map", []*cel.Type{cel.MapType(cel.DynType, cel.DynType)}
	case fd.Enum() != nil:
		return "one of " + strings.Join(words(fd.Enum()), ", "), []*cel.Type{cel.StringType}
	}
	switch fd.Kind() { //nolint:exhaustive // the contract has no other
	case protoreflect.BoolKind:
		return "true or false", []*cel.Type{cel.BoolType}
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return "a number", []*cel.Type{cel.IntType, cel.UintType, cel.DoubleType}
	case protoreflect.BytesKind:
		return "bytes, or a text", []*cel.Type{cel.BytesType, cel.StringType}
	case protoreflect.StringKind:
		return "a text", textTypes()
	}
	return "a whole number", []*cel.Type{cel.IntType, cel.UintType, cel.DoubleType}
}

// words are the values of an enum in lower case, without its prefix.
func words(d protoreflect.EnumDescriptor) []string {
	var all []string
	for i := 1; i < d.Values().Len(); i++ {
		all = append(all, strings.ToLower(strings.TrimPrefix(string(d.Values().Get(i).Name()), prefixOf(d))))
	}
	return all
}

func prefixOf(d protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
}

// wordOf is the value of an enum that a word means; nil where it means none.
func wordOf(d protoreflect.EnumDescriptor, word string) protoreflect.EnumValueDescriptor {
	return d.Values().ByName(protoreflect.Name(prefixOf(d) + strings.ToUpper(strings.TrimSpace(word))))
}

// newMessage is an empty message of a field, or of an element of it.
func newMessage(fd protoreflect.FieldDescriptor) (protoreflect.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(fd.Message().FullName())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fd.Message().FullName(), err)
	}
	return t.New(), nil
}

// set sets a field to a value, whatever it holds.
func set(m protoreflect.Message, fd protoreflect.FieldDescriptor, v ref.Val) error {
	v, ok := plain(v)
	if !ok {
		return nil
	}
	switch {
	case fd.IsMap():
		from, isMap := v.(traits.Mapper)
		if !isMap {
			return fmt.Errorf("%s: it gives a %s and must give a map", fd.Name(), v.Type().TypeName())
		}
		into := m.Mutable(fd).Map()
		for it := from.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			key, err := text(k)
			if err != nil {
				return fmt.Errorf("%s: a key: %w", fd.Name(), err)
			}
			value, ok := plain(from.Get(k))
			if !ok {
				continue
			}
			converted, err := convert(fd.MapValue(), value)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", fd.Name(), key, err)
			}
			into.Set(protoreflect.ValueOfString(key).MapKey(), converted)
		}
	case fd.IsList():
		from, isList := v.(traits.Lister)
		if !isList {
			return fmt.Errorf("%s: it gives a %s and must give a list", fd.Name(), v.Type().TypeName())
		}
		into := m.Mutable(fd).List()
		for it := from.Iterator(); it.HasNext() == types.True; {
			value, ok := plain(it.Next())
			if !ok {
				continue
			}
			converted, err := convert(fd, value)
			if err != nil {
				return fmt.Errorf("%s[%d]: %w", fd.Name(), into.Len(), err)
			}
			into.Append(converted)
		}
	default:
		converted, err := convert(fd, v)
		if err != nil {
			return fmt.Errorf("%s: %w", fd.Name(), err)
		}
		m.Set(fd, converted)
	}
	return nil
}

// convert makes a value one of a field, or of one of its elements.
func convert(fd protoreflect.FieldDescriptor, v ref.Val) (protoreflect.Value, error) {
	switch {
	case fd.Message() != nil:
		m, err := convertMessage(fd, v)
		return protoreflect.ValueOfMessage(m), err
	case fd.Enum() != nil:
		word, ok := v.(types.String)
		if value := wordOf(fd.Enum(), string(word)); ok && value != nil {
			return protoreflect.ValueOfEnum(value.Number()), nil
		}
	}
	switch fd.Kind() { //nolint:exhaustive // the contract has no other
	case protoreflect.StringKind:
		s, err := text(v)
		return protoreflect.ValueOfString(s), err
	case protoreflect.BoolKind:
		if b, ok := v.(types.Bool); ok {
			return protoreflect.ValueOfBool(bool(b)), nil
		}
	case protoreflect.DoubleKind:
		if f, ok := float(v); ok {
			return protoreflect.ValueOfFloat64(f), nil
		}
	case protoreflect.Int32Kind:
		if f, ok := float(v); ok && f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32 {
			return protoreflect.ValueOfInt32(int32(f)), nil
		}
	case protoreflect.BytesKind:
		switch v := v.(type) {
		case types.Bytes:
			return protoreflect.ValueOfBytes(v), nil
		case types.String:
			return protoreflect.ValueOfBytes([]byte(v)), nil
		}
	}
	wanted, _ := typesOf(fd)
	return protoreflect.Value{}, fmt.Errorf("it gives %s and must give %s", shown(v), wanted)
}

// shown is a value in an error: a short one as it is, because a person must find it.
func shown(v ref.Val) string {
	switch s, err := text(v); {
	case err == nil && len(s) <= 40:
		return fmt.Sprintf("%q", s)
	default:
		return "a " + v.Type().TypeName()
	}
}

func float(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), true
	}
	return 0, false
}

// convertMessage makes a time of a timestamp or text, a duration of a duration or seconds, and any other message of a map.
func convertMessage(fd protoreflect.FieldDescriptor, v ref.Val) (protoreflect.Message, error) {
	if wellKnown(fd) {
		return convertTime(fd, v)
	}
	fields, ok := v.(traits.Mapper)
	if !ok {
		return nil, fmt.Errorf("it gives %s and must give a map", shown(v))
	}
	m, err := newMessage(fd)
	if err != nil {
		return nil, err
	}
	for it := fields.Iterator(); it.HasNext() == types.True; {
		k := it.Next()
		name, _ := k.(types.String)
		field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if field == nil || ours(field) {
			return nil, fmt.Errorf("there is no field %v to set; there are %s", shown(k), strings.Join(fieldNames(m.Descriptor()), ", "))
		}
		if err := set(m, field, fields.Get(k)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func convertTime(fd protoreflect.FieldDescriptor, v ref.Val) (protoreflect.Message, error) {
	if fd.Message().FullName() == "google.protobuf.Timestamp" {
		at, err := timeOf(v)
		return timestamppb.New(at).ProtoReflect(), err
	}
	d, isDuration := v.(types.Duration)
	seconds, isNumber := float(v)
	switch {
	case isDuration:
		return durationpb.New(d.Duration).ProtoReflect(), nil
	case isNumber && math.Abs(seconds) < math.MaxInt32:
		return durationpb.New(time.Duration(math.Round(seconds * float64(time.Second)))).ProtoReflect(), nil
	}
	return nil, fmt.Errorf("it gives %s and must give a duration, or seconds", shown(v))
}

// timeOf reads a timestamp, or a text as RFC 3339.
func timeOf(v ref.Val) (time.Time, error) {
	switch v := v.(type) {
	case types.Timestamp:
		return v.Time, nil
	case types.String:
		if at, err := time.Parse(time.RFC3339Nano, string(v)); err == nil && timestamppb.New(at).IsValid() {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("it gives %s and must give a timestamp, or a text as RFC 3339", shown(v))
}
