package app

import (
	"fmt"
	"reflect"
)

// Setting is one key of the configuration as a person sees it.
type Setting struct {
	Key, Value, Help string
}

// Settings are all keys with the values that are in force. Hashes of tokens are left out.
func (c *Config) Settings() []Setting {
	var settings []Setting
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			key := prefix + field.Tag.Get("koanf")
			switch {
			case field.Type.Kind() == reflect.Struct:
				walk(key+".", v.Field(i))
			case field.Type == reflect.TypeFor[[]TokenConfig]():
				settings = append(settings, Setting{key, fmt.Sprintf("%d configured", v.Field(i).Len()), field.Tag.Get("help")})
			default:
				settings = append(settings, Setting{key, fmt.Sprintf("%v", v.Field(i).Interface()), field.Tag.Get("help")})
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return settings
}
