package app

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/skein-cx/skein/pkg/kv/pgkv"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
)

// Setting is one key of the configuration as a person sees it.
type Setting struct {
	Key, Value, Help string
	// Secret says that the value is one: Value tells whether it is set.
	Secret bool
}

// Settings are all keys with the values that are in force. Hashes of tokens and secrets are left out.
func (c *Config) Settings() []Setting {
	var settings []Setting
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			key := prefix + field.Tag.Get("koanf")
			if key == prefix+"-" {
				continue // no setting
			}
			if field.Type.Kind() == reflect.Struct {
				walk(key+".", v.Field(i))
				continue
			}
			s := Setting{Key: key, Help: field.Tag.Get("help"), Secret: field.Tag.Get("secret") != ""}
			s.Value = c.shown(s, v.Field(i))
			settings = append(settings, s)
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return settings
}

// shown is the value of a setting as a person may see it.
func (c *Config) shown(s Setting, v reflect.Value) string {
	var names []string
	switch v.Interface().(type) {
	case []InboxConfig:
		for _, in := range c.Inboxes {
			names = append(names, in.Tenant+"/"+in.ID+" ("+in.Channel+")")
		}
		return strings.Join(names, ", ")
	case []WebhookConfig:
		for _, e := range c.Webhooks.Endpoints { // a URL may hold a secret, too
			names = append(names, e.Tenant+"/"+e.ID)
		}
		return strings.Join(names, ", ")
	}
	switch {
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		return fmt.Sprintf("%d configured", v.Len())
	case s.Key == "store.dsn" && c.sharedStore():
		return pgkv.Describe(c.Store.DSN)
	case s.Secret && v.Len() > 0:
		return "set, not shown"
	case s.Secret:
		return "not set"
	case s.Key == "blobs.url":
		return withoutPassword(c.Blobs.URL)
	}
	return fmt.Sprintf("%v", v.Interface())
}

// withoutPassword is an address without what may be secret about it: the password of its user, and its parameters.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "set, not shown" // the error would tell it
	}
	if u.Host == "" && u.Opaque != "" {
		return u.Scheme + ":…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	parameters := ""
	if u.RawQuery != "" {
		u.RawQuery, parameters = "", "?…"
	}
	return u.String() + parameters
}

// inForce are the settings as the API tells them.
func (c *Config) inForce() []*adminv1.Setting {
	unset := map[string]string{}
	standard := Default()
	for _, s := range standard.Settings() {
		unset[s.Key] = s.Value
	}
	var all []*adminv1.Setting
	for _, s := range c.Settings() {
		all = append(all, &adminv1.Setting{Key: s.Key, Value: s.Value, Help: s.Help, Secret: s.Secret, Default: s.Value == unset[s.Key]})
	}
	return all
}
