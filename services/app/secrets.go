package app

import (
	"fmt"
	"iter"
	"os"
	"reflect"
	"strings"
)

// A secret stands in the configuration as a reference to where it is, or by itself:
// "env:NAME" is a variable of the environment, "file:PATH" what a file holds, but for a newline at its end.
const (
	fromEnvironment = "env:"
	fromFile        = "file:"
)

// fetchSecrets puts secrets in the place of what refers to them. Its errors name the field, never a secret.
func fetchSecrets(c *Config) error {
	var problems []Problem
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() { //nolint:exhaustive // nothing else holds settings
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				field := v.Type().Field(i)
				name := strings.TrimPrefix(path+"."+field.Tag.Get("koanf"), ".")
				if field.Tag.Get("secret") == "" {
					walk(name, v.Field(i))
					continue
				}
				for name, held := range held(name, v.Field(i)) {
					secret, err := fetchSecret(held.String())
					if err != nil {
						problems = append(problems, Problem{name, err.Error()})
						continue
					}
					held.SetString(secret)
				}
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	if len(problems) > 0 {
		return &ConfigError{Problems: problems}
	}
	return nil
}

// held are the secrets of a field, which is one or a list of them.
func held(name string, field reflect.Value) iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) {
		if field.Kind() != reflect.Slice {
			yield(name, field)
			return
		}
		for i := range field.Len() {
			if !yield(fmt.Sprintf("%s[%d]", name, i), field.Index(i)) {
				return
			}
		}
	}
}

func fetchSecret(reference string) (string, error) {
	if name, ok := strings.CutPrefix(reference, fromEnvironment); ok {
		value, set := os.LookupEnv(name)
		if !set {
			return "", fmt.Errorf("the environment has no variable %s", name)
		}
		return value, nil
	}
	path, ok := strings.CutPrefix(reference, fromFile)
	if !ok {
		return reference, nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // whoever configures Skein says which
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}
