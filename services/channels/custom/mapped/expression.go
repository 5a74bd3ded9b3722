package mapped

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

const (
	// maxCost of one evaluation, in CEL's units: about one for each operation and for ten bytes of a text.
	maxCost = 1_000_000
	// checkEvery so many steps of a loop, an evaluation looks whether its time is over.
	checkEvery = 100
)

// The variables.
const (
	varBody    = "body"
	varItem    = "item"
	varHeaders = "headers"
	varQuery   = "query"
)

// compiler compiles the expressions of a mapping, and keeps everything that is wrong.
type compiler struct {
	env      *cel.Env
	problems []Problem
	headers  map[string]bool // that expressions read
	query    map[string]bool
	secret   map[string]bool // headers and parameters that no expression may read
}

func newCompiler(split bool) (*compiler, error) {
	texts := cel.MapType(cel.StringType, cel.StringType)
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{}), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
		cel.OptionalTypes(), ext.Bindings(), ext.Strings(), ext.Lists(), ext.Sets(), ext.Math(), ext.Encoders(ext.EncodersVersion(0)), ext.Regex(),
		cel.Function("parse_json", cel.Overload("parse_json_string", []*cel.Type{cel.StringType}, cel.DynType, cel.UnaryBinding(func(v ref.Val) ref.Val {
			text, _ := v.(types.String) // the checker saw to it
			value, err := parseJSON([]byte(text))
			if err != nil {
				return types.WrapErr(err)
			}
			return value
		}))),
		cel.Function("to_json", cel.Overload("to_json_dyn", []*cel.Type{cel.DynType}, cel.StringType, cel.UnaryBinding(func(v ref.Val) ref.Val {
			text, err := toJSON(v)
			if err != nil {
				return types.WrapErr(err)
			}
			return types.String(text)
		}))),
		cel.Variable(varBody, cel.DynType), cel.Variable(varHeaders, texts), cel.Variable(varQuery, texts),
	}
	if split {
		options = append(options, cel.Variable(varItem, cel.DynType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("prepare expressions: %w", err)
	}
	return &compiler{env: env, headers: map[string]bool{}, query: map[string]bool{}, secret: map[string]bool{}}, nil
}

func (c *compiler) fail(field, reason string) {
	c.problems = append(c.problems, Problem{field, reason})
}

// expression is one that was compiled.
type expression struct {
	field   string
	program cel.Program
	ast     *cel.Ast
}

// compile compiles an expression that gives one of some types, or one that is only known when it is evaluated. It is nil where there
// is none, and where it is wrong.
func (c *compiler) compile(field, source, wanted string, want ...*cel.Type) *expression {
	if strings.TrimSpace(source) == "" {
		return nil
	}
	compiled, issues := c.env.Compile(source)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			c.fail(field, place(e.Location, source)+sentence(e.Message))
		}
		return nil
	}
	if given := resultOf(compiled.OutputType()); len(want) > 0 && !slices.ContainsFunc(append(want, cel.DynType, cel.NullType), given.IsExactType) &&
		!slices.ContainsFunc(want, func(t *cel.Type) bool { return t.Kind() == given.Kind() && len(t.Parameters()) > 0 }) {
		c.fail(field, "it gives "+cel.FormatCELType(given)+" and must give "+wanted)
		return nil
	}
	c.readsOf(field, compiled.NativeRep().Expr())
	program, err := c.env.Program(compiled, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(checkEvery), cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(orderMaps))
	if err != nil {
		c.fail(field, err.Error())
		return nil
	}
	return &expression{field, program, compiled}
}

// resultOf is the type of an expression without "optional".
func resultOf(t *cel.Type) *cel.Type {
	if t.Kind() == types.OpaqueKind && t.TypeName() == "optional_type" {
		return resultOf(t.Parameters()[0])
	}
	return t
}

// sentence adds what is usually meant.
func sentence(message string) string {
	message = strings.TrimSuffix(message, " (in container '')")
	if strings.HasPrefix(message, "undeclared reference to") {
		message += `: a text itself stands in quotes, such as '"text"'; the variables are body, item (with split), headers and query`
	}
	return message
}

// place says where in an expression something is.
func place(at common.Location, source string) string {
	switch {
	case at.Line() < 1:
		return ""
	case strings.Contains(strings.TrimSpace(source), "\n"):
		return fmt.Sprintf("line %d, column %d: ", at.Line(), at.Column()+1)
	}
	return fmt.Sprintf("column %d: ", at.Column()+1)
}

// readsOf finds out which headers and parameters an expression reads: they alone are kept with a body. So they must be named.
func (c *compiler) readsOf(field string, e ast.Expr) {
	seen := map[string]int{}
	named := func(of, name ast.Expr) {
		if of.Kind() != ast.IdentKind || name.Kind() != ast.LiteralKind {
			return
		}
		text, ok := name.AsLiteral().(types.String)
		if !ok {
			return
		}
		c.reads(field, seen, of.AsIdent(), string(text))
	}
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() { //nolint:exhaustive // nothing else can read one
		case ast.IdentKind:
			seen[e.AsIdent()]++
		case ast.SelectKind:
			if of := e.AsSelect().Operand(); of.Kind() == ast.IdentKind {
				c.reads(field, seen, of.AsIdent(), e.AsSelect().FieldName())
			}
		case ast.CallKind:
			call := e.AsCall()
			args := call.Args()
			switch call.FunctionName() {
			case operators.Index, operators.OptIndex, operators.OptSelect:
				named(args[0], args[1])
			case operators.In:
				named(args[1], args[0])
			}
		}
	}))
	for _, name := range []string{varHeaders, varQuery} {
		if seen[name] > 0 {
			c.fail(field, "of "+name+" it may only read what it names, such as "+name+`["x-topic"]: only that is kept with the body`)
		}
	}
}

// reads notes that a header or parameter is read.
func (c *compiler) reads(field string, seen map[string]int, of, name string) {
	switch of {
	case varHeaders:
		seen[of]--
		switch {
		case name != strings.ToLower(name):
			c.fail(field, fmt.Sprintf("headers have names in lower case: headers[%q]", strings.ToLower(name)))
		case c.secret[varHeaders+" "+name], slices.Contains([]string{"authorization", "cookie", "proxy-authorization"}, name):
			c.fail(field, "the header "+name+" may hold a secret, and is not kept")
		}
		c.headers[name] = true
	case varQuery:
		seen[of]--
		if c.secret[varQuery+" "+name] {
			c.fail(field, "the parameter "+name+" holds a secret, and is not kept")
		}
		c.query[name] = true
	}
}

// eval gives what an expression gives; false where it is null, an optional without value, or there is no expression.
func (x *expression) eval(ctx context.Context, vars map[string]any) (ref.Val, bool, error) {
	if x == nil {
		return nil, false, nil
	}
	value, _, err := x.program.ContextEval(ctx, vars)
	if err != nil {
		return nil, false, x.fails(err)
	}
	value, ok := plain(value)
	return value, ok, nil
}

// fails says where an evaluation failed, and why.
func (x *expression) fails(err error) error {
	if cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && cancelled.Cause == interpreter.CostLimitExceeded {
		return &evaluationError{x.field + ": it takes too much work: more than " + fmt.Sprint(maxCost) + " steps"}
	}
	at := ""
	if node, ok := errors.AsType[*types.Err](err); ok {
		location := x.ast.NativeRep().SourceInfo().GetStartLocation(node.NodeID())
		at = place(location, x.ast.Source().Content())
	}
	return &evaluationError{x.field + ": " + at + err.Error()}
}

// wrong says that an expression gives what it must not.
func (x *expression) wrong(err error) error { return &evaluationError{x.field + ": " + err.Error()} }

// evaluationError is one of a mapping over a body.
type evaluationError struct{ text string }

func (e *evaluationError) Error() string { return e.text }

// text gives a text; empty where there is none.
func (x *expression) text(ctx context.Context, vars map[string]any) (string, error) {
	value, ok, err := x.eval(ctx, vars)
	if err != nil || !ok {
		return "", err
	}
	s, err := text(value)
	if err != nil {
		return "", x.wrong(err)
	}
	return s, nil
}

// holds tells whether a condition is true; it is where there is none.
func (x *expression) holds(ctx context.Context, vars map[string]any) (bool, error) {
	if x == nil {
		return true, nil
	}
	value, ok, err := x.eval(ctx, vars)
	if err != nil || !ok {
		return false, err
	}
	b, isBool := value.(types.Bool)
	if !isBool {
		return false, x.wrong(fmt.Errorf("it gives a %s and must give true or false", value.Type().TypeName()))
	}
	return bool(b), nil
}

// textTypes are those that can be written as a text.
func textTypes() []*cel.Type {
	return []*cel.Type{cel.StringType, cel.IntType, cel.UintType, cel.DoubleType, cel.BoolType, cel.TimestampType}
}

func (c *compiler) text(field, source string) *expression {
	return c.compile(field, source, "a text", textTypes()...)
}

func (c *compiler) condition(field, source string) *expression {
	return c.compile(field, source, "true or false", cel.BoolType)
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
