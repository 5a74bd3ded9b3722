package mapped

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// maxDepth is how deep a body may be.
const maxDepth = 1000

// object is a map that is gone through in the order of its keys. CEL's own are gone through in none, so that an expression over
// them could give one result today and another one tomorrow.
type object struct {
	traits.Mapper
	keys []ref.Val
	raw  []byte // as it came, where it did
}

// Iterator implements traits.Iterable.
func (o *object) Iterator() traits.Iterator { return &iterator{keys: o.keys} }

type iterator struct {
	traits.Iterator
	keys []ref.Val
	next int
}

func (i *iterator) HasNext() ref.Val { return types.Bool(i.next < len(i.keys)) }

func (i *iterator) Next() ref.Val {
	if i.next == len(i.keys) {
		return types.NewErr("there is no more")
	}
	i.next++
	return i.keys[i.next-1]
}

// array is a list that knows how it came.
type array struct {
	traits.Lister
	raw []byte
}

// inOrder makes a map one that has an order.
func inOrder(m traits.Mapper, raw []byte) *object {
	o := &object{Mapper: m, raw: raw}
	for it := m.Iterator(); it.HasNext() == types.True; {
		o.keys = append(o.keys, it.Next())
	}
	slices.SortFunc(o.keys, func(a, b ref.Val) int {
		if a, ok := a.(types.String); ok { // as all those of JSON
			if b, ok := b.(types.String); ok {
				return strings.Compare(string(a), string(b))
			}
		}
		if c := strings.Compare(a.Type().TypeName(), b.Type().TypeName()); c != 0 {
			return c
		}
		return strings.Compare(fmt.Sprint(a.Value()), fmt.Sprint(b.Value()))
	})
	return o
}

// adapter makes CEL's values. Maps that an expression writes down are ordered as well.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (adapter) NativeToValue(v any) ref.Val {
	value := types.DefaultTypeAdapter.NativeToValue(v)
	if _, ordered := value.(*object); ordered {
		return value
	}
	if m, ok := value.(traits.Mapper); ok {
		return inOrder(m, nil)
	}
	return value
}

// orderMaps puts an order into the maps that an expression writes down.
func orderMaps(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch i := i.(type) {
	case interpreter.InterpretableConst: // one that holds constants only was made beforehand
		if m, ok := i.Value().(traits.Mapper); ok {
			return interpreter.NewConstValue(i.ID(), inOrder(m, nil)), nil
		}
	case interpreter.InterpretableConstructor:
		if i.Type() == types.MapType {
			return &orderedMap{i}, nil
		}
	}
	return i, nil
}

// orderedMap is a map of an expression.
type orderedMap struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (m *orderedMap) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := m.InterpretableConstructor.Exec(frame)
	if written, ok := value.(traits.Mapper); ok {
		return inOrder(written, nil)
	}
	return value
}

// Eval implements interpreter.Interpretable.
func (m *orderedMap) Eval(vars interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(vars))
}

// texts makes a map of texts.
func texts(m map[string]string) ref.Val {
	values := make(map[ref.Val]ref.Val, len(m))
	for k, v := range m {
		values[types.String(k)] = types.String(v)
	}
	return inOrder(types.NewRefValMap(adapter{}, values), nil)
}

// parseJSON reads JSON. Whole numbers stay whole: an id of 19 digits is not rounded.
func parseJSON(raw []byte) (ref.Val, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	var all json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil { // which looks at the whole, and bounds its depth
		return nil, fmt.Errorf("the body is no JSON: %w", err)
	}
	d := &decoder{Decoder: json.NewDecoder(bytes.NewReader(raw)), raw: raw}
	d.UseNumber()
	return d.value(0)
}

type decoder struct {
	*json.Decoder
	raw []byte
}

func (d *decoder) value(depth int) (ref.Val, error) {
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("the body is no JSON: %w", err)
	}
	return d.of(token, depth)
}

func (d *decoder) of(token json.Token, depth int) (ref.Val, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the body is more than %d levels deep", maxDepth)
	}
	begin := d.InputOffset() - 1 // of a bracket
	switch t := token.(type) {
	case string:
		return types.String(t), nil
	case bool:
		return types.Bool(t), nil
	case json.Number:
		return number(t.String())
	case json.Delim:
		if t == '[' {
			var list []ref.Val
			for d.More() {
				item, err := d.value(depth + 1)
				if err != nil {
					return nil, err
				}
				list = append(list, item)
			}
			_, err := d.Token()
			return &array{types.NewRefValList(adapter{}, list), d.raw[begin:d.InputOffset()]}, err
		}
		fields := map[ref.Val]ref.Val{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("the body is no JSON: %w", err)
			}
			name, _ := key.(string) // nothing else is a key
			if fields[types.String(name)], err = d.value(depth + 1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return inOrder(types.NewRefValMap(adapter{}, fields), d.raw[begin:d.InputOffset()]), err
	}
	return types.NullValue, nil
}

// number is an int where it is whole and fits, else a uint, else a double.
func number(s string) (ref.Val, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(i), nil
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return types.Uint(u), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("the body holds the number %.40s, which does not fit", s)
	}
	return types.Double(f), nil
}

// parseForm reads a form. A name that stands several times has its first value.
func parseForm(raw []byte) (ref.Val, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, fmt.Errorf("the body is no form: %w", err)
	}
	values := make(map[string]string, len(form))
	for name := range form {
		values[name] = strings.ToValidUTF8(form.Get(name), "\uFFFD")
	}
	return texts(values), nil
}

// plain unwraps an optional. It is false where there is no value.
func plain(v ref.Val) (ref.Val, bool) {
	for {
		o, ok := v.(*types.Optional)
		if !ok {
			break
		}
		if !o.HasValue() {
			return nil, false
		}
		v = o.GetValue()
	}
	return v, v != types.NullValue
}

// text writes a single value as a text.
func text(v ref.Val) (string, error) {
	switch v := v.(type) {
	case types.String:
		return string(v), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), nil
	case types.Bool:
		return strconv.FormatBool(bool(v)), nil
	case types.Double:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	}
	return "", fmt.Errorf("it gives a %s and must give a text", v.Type().TypeName())
}

// native gives a value as encoding/json writes it, always in the same way.
func native(v ref.Val) (any, error) {
	v, ok := plain(v)
	if !ok {
		return nil, nil //nolint:nilnil // null
	}
	switch v := v.(type) {
	case *object:
		if v.raw != nil {
			return json.RawMessage(v.raw), nil
		}
		fields := make(map[string]any, len(v.keys))
		for _, k := range v.keys {
			name, err := text(k)
			if err != nil {
				return nil, err
			}
			if fields[name], err = native(v.Get(k)); err != nil {
				return nil, err
			}
		}
		return fields, nil
	case *array:
		return json.RawMessage(v.raw), nil
	case traits.Mapper:
		return native(inOrder(v, nil))
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			item, err := native(it.Next())
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	case types.String, types.Bool, types.Int, types.Uint, types.Double:
		return v.Value(), nil
	}
	return text(v)
}

// toJSON writes a value.
func toJSON(v ref.Val) ([]byte, error) {
	value, err := native(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
