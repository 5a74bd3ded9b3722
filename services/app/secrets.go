package app

import (
	"fmt"
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
	fetch := func(path string, v reflect.Value) {
		secret, err := fetchSecret(v.String())
		if err != nil {
			problems = append(problems, Problem{path, err.Error()})
			return
		}
		v.SetString(secret)
	}
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
				if v.Field(i).Kind() == reflect.Slice { // several, of which each is good
					for j := range v.Field(i).Len() {
						fetch(fmt.Sprintf("%s[%d]", name, j), v.Field(i).Index(j))
					}
					continue
				}
				fetch(name, v.Field(i))
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	if len(problems) > 0 {
		return &ConfigError{Problems: problems}
	}
	return nil
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
