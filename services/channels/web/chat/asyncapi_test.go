package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// protocol are the schemas of docs/web-chat.asyncapi.yaml, by operation and type of frame.
var protocol = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "web-chat.asyncapi.yaml"))
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("https://skein.example/chat.json", document); err != nil {
		return nil, err
	}
	var parts struct {
		Operations map[string]struct {
			Messages []map[string]string `yaml:"messages"`
		} `yaml:"operations"`
		Components struct {
			Messages map[string]struct {
				Payload struct {
					Properties struct {
						Type struct {
							Const string `yaml:"const"`
						} `yaml:"type"`
					} `yaml:"properties"`
				} `yaml:"payload"`
			} `yaml:"messages"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	schemas := map[string]*jsonschema.Schema{}
	for operation, o := range parts.Operations {
		for _, m := range o.Messages {
			name := filepath.Base(m["$ref"])
			frameType := parts.Components.Messages[name].Payload.Properties.Type.Const
			if schemas[operation+" "+frameType], err = c.Compile("https://skein.example/chat.json#/components/messages/" + name + "/payload"); err != nil {
				return nil, err
			}
		}
	}
	return schemas, nil
})

// documented checks that a frame is as the document describes it.
func documented(t *testing.T, operation string, frame []byte) {
	t.Helper()
	schemas, err := protocol()
	if err != nil {
		t.Fatal(err)
	}
	var named struct{ Type string }
	if err := json.Unmarshal(frame, &named); err != nil {
		t.Fatal(err)
	}
	schema := schemas[operation+" "+named.Type]
	if schema == nil {
		t.Errorf("%s: a frame of type %q is not documented", operation, named.Type)
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(frame))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %s is not as documented: %v", operation, frame, err)
	}
}

func TestEveryExampleOfTheDocumentIsAsItDescribes(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "web-chat.asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Messages map[string]struct {
				Examples []struct {
					Payload any `yaml:"payload"`
				} `yaml:"examples"`
			} `yaml:"messages"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	schemas, err := protocol()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range document.Components.Messages {
		for i, example := range m.Examples {
			t.Run(fmt.Sprint(name, " ", i), func(t *testing.T) {
				frame, err := json.Marshal(example.Payload)
				if err != nil {
					t.Fatal(err)
				}
				operation := "toVisitor"
				if schemas["fromVisitor "+name] != nil {
					operation = "fromVisitor"
				}
				documented(t, operation, frame)
			})
		}
	}
}
