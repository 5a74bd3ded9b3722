package browser_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// The schema is AsyncAPI's own, https://github.com/asyncapi/spec-json-schemas, from npm.
func TestTheProtocolOfTheChatIsAnAsyncAPIDocument(t *testing.T) {
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(module(t, "@asyncapi/specs/schemas/3.0.0.json")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	const at = "https://asyncapi.com/definitions/3.0.0/asyncapi.json"
	if err := c.AddResource(at, schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(at)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "web-chat.asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := yaml.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(document); err != nil {
		t.Errorf("%+v", err)
	}
}
