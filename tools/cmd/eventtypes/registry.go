package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// topics are the names that the registry may use, and the constants of pkg/event that they stand for.
var topics = map[string]struct{ constant, name string }{ //nolint:gochecknoglobals // read only
	"interactions": {"TopicInteractions", "skein.interactions.v1"},
	"agents":       {"TopicAgents", "skein.agents.v1"},
	"links":        {"TopicLinks", "skein.links.v1"},
	"directory":    {"TopicDirectory", "skein.directory.v1"},
	"alerts":       {"TopicAlerts", "skein.alerts.v1"},
}

type group struct {
	Name  string    `yaml:"name"`
	Topic string    `yaml:"topic"`
	Node  yaml.Node `yaml:"types"`
	types []eventType
}

type eventType struct {
	name, description string
	body              protoreflect.FieldDescriptor
}

func (t eventType) bodyName() protoreflect.Name {
	return protoreflect.Name(strings.ReplaceAll(t.name, ".", "_"))
}

// readRegistry reads the groups with their types in the order of the file.
func readRegistry(data []byte) ([]group, error) {
	var file struct {
		Groups []group `yaml:"groups"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	for i := range file.Groups {
		g := &file.Groups[i]
		if _, ok := topics[g.Topic]; !ok {
			return nil, fmt.Errorf("group %q: unknown topic %q", g.Name, g.Topic)
		}
		if g.Node.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("group %q: types must map names to descriptions", g.Name)
		}
		for pair := g.Node.Content; len(pair) > 0; pair = pair[2:] {
			g.types = append(g.types, eventType{name: pair[0].Value, description: pair[1].Value})
		}
	}
	return file.Groups, nil
}

// readContent compiles the protos, comments included, and gives the message skein.event.v1.Content.
func readContent(ctx context.Context, root string) (protoreflect.MessageDescriptor, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: []string{filepath.Join(root, "proto"), filepath.Join(root, "proto", "third_party", "protovalidate")},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, "skein/event/v1/content.proto")
	if err != nil {
		return nil, err
	}
	return files[0].Messages().ByName("Content"), nil
}

// bind finds the body of each type, and reports types without a body and bodies without a type.
func bind(groups []group, content protoreflect.MessageDescriptor) error {
	unclaimed := map[protoreflect.Name]bool{}
	bodies := content.Oneofs().ByName("body").Fields()
	for i := range bodies.Len() {
		unclaimed[bodies.Get(i).Name()] = true
	}
	delete(unclaimed, "extension")
	for _, g := range groups {
		for i, t := range g.types {
			if !unclaimed[t.bodyName()] {
				return fmt.Errorf("type %q: Content.body has no field %q of its own", t.name, t.bodyName())
			}
			g.types[i].body = bodies.ByName(t.bodyName())
			delete(unclaimed, t.bodyName())
		}
	}
	for i := range bodies.Len() {
		if unclaimed[bodies.Get(i).Name()] {
			return fmt.Errorf("field %q of Content.body belongs to no type", bodies.Get(i).Name())
		}
	}
	return nil
}
