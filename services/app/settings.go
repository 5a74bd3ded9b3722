package app

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/skein-cx/skein/pkg/kv/pgkv"
)

// Setting is one key of the configuration as a person sees it.
type Setting struct {
	Key, Value, Help string
}

// Settings are all keys with the values that are in force. Hashes of tokens and secrets are left out.
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
			case field.Type == reflect.TypeFor[[]InboxConfig]():
				var names []string
				for _, in := range c.Inboxes {
					names = append(names, in.Tenant+"/"+in.ID+" ("+in.Channel+")")
				}
				settings = append(settings, Setting{key, strings.Join(names, ", "), field.Tag.Get("help")})
			case field.Type == reflect.TypeFor[[]WebhookConfig]():
				var names []string
				for _, e := range c.Webhooks.Endpoints { // a URL may hold a secret, too
					names = append(names, e.Tenant+"/"+e.ID)
				}
				settings = append(settings, Setting{key, strings.Join(names, ", "), field.Tag.Get("help")})
			case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
				settings = append(settings, Setting{key, fmt.Sprintf("%d configured", v.Field(i).Len()), field.Tag.Get("help")})
			case key == "store.dsn" && c.sharedStore():
				settings = append(settings, Setting{key, pgkv.Describe(c.Store.DSN), field.Tag.Get("help")})
			case field.Tag.Get("secret") != "":
				value := "not set"
				if v.Field(i).Len() > 0 {
					value = "set, not shown"
				}
				settings = append(settings, Setting{key, value, field.Tag.Get("help")})
			default:
				settings = append(settings, Setting{key, fmt.Sprintf("%v", v.Field(i).Interface()), field.Tag.Get("help")})
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return settings
}
