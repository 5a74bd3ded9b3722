package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Every frame of the server's decoder is in the document, and every one of the document is one of the server's, which takes each example.
func TestTheServerTakesWhatTheDocumentDescribesAndNothingElse(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "web-chat.asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Operations map[string]struct {
			Messages []map[string]string `yaml:"messages"`
		} `yaml:"operations"`
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
	w, err := newWidget(Widget{ID: "shop", Tenant: "acme"}, []byte(strings.Repeat("s", minSecret)))
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, m := range document.Operations["fromVisitor"].Messages {
		name := strings.TrimPrefix(m["$ref"], "#/channels/chat/messages/")
		described = append(described, name)
		if len(document.Components.Messages[name].Examples) == 0 {
			t.Errorf("%s: no example", name)
		}
		for _, example := range document.Components.Messages[name].Examples {
			frame, err := json.Marshal(example.Payload)
			if err != nil {
				t.Fatal(err)
			}
			in, p := decodeFrame(frame, "")
			if p == nil && in.told != nil {
				p = in.check(w, Claims{Visitor: "v", Thread: "t"})
			}
			if in.Type != name || p != nil && p.Field != "files" { // a file of an example is nobody's
				t.Errorf("%s: %s is refused: %+v", name, frame, p)
			}
			if stored := !slices.Contains([]string{frameResume, framePing, frameTyping}, name); stored != (in.told != nil) {
				t.Errorf("%s: becomes an event: %t", name, in.told != nil)
			}
		}
	}
	server := frameTypes()
	slices.Sort(described)
	slices.Sort(server)
	if !slices.Equal(described, server) {
		t.Errorf("described are %q, and the server takes %q", described, server)
	}
}
