package app

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
)

// canary is in everything of a filled configuration that nobody may see.
const canary = "sEcReT"

// fill sets every setting, those in lists too: secrets to ones that can be told apart.
func fill(t *testing.T, path string, v reflect.Value, secret bool) (secrets int) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() {
				secrets += fill(t, path+"."+f.Name, v.Field(i), secret || f.Tag.Get("secret") != "")
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		secrets += fill(t, path, v.Elem(), secret)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		secrets += fill(t, path+"[0]", v.Index(0), secret)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		secrets += fill(t, path, value, secret)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("name").Convert(v.Type().Key()), value)
	case reflect.String:
		text := "plain"
		if secret {
			secrets++
			text = canary + path
		}
		v.SetString(text)
	case reflect.Interface: // a tree of a mapping, which is never shown
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint32, reflect.Uint64, reflect.Uint8:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	default:
		t.Fatalf("%s is a %s, of which nobody knows whether it is shown", path, v.Kind())
	}
	return secrets
}

func TestNoSecretOfAFullConfigurationIsTold(t *testing.T) {
	t.Parallel()
	var c Config
	if n := fill(t, "", reflect.ValueOf(&c).Elem(), false); n < 40 {
		t.Fatalf("%d secrets were set", n)
	}
	c.Auth.Tokens[0].SHA256 = canary
	c.Webhooks.Endpoints[0].URL = "https://crm.example/hook?key=" + canary
	for _, dsn := range []string{
		"postgres://skein:" + canary + "@db.example/skein?password=" + canary, "host=db.example password=" + canary, canary,
	} {
		c.Store.DSN = dsn
		c.Analytics.ClickHouse = "clickhouse://skein:" + canary + "@ch.example:9000/skein?password=" + canary
		c.Blobs.URL = "s3://user:" + canary + "@bucket/folder?key=" + canary
		a := &App{cfg: c, roles: RoleNames(), started: time.Now(), logger: slog.New(slog.DiscardHandler)}
		for what, told := range map[string]proto.Message{
			"settings": &adminv1.GetConfigResponse{Settings: a.cfg.inForce()}, "process": a.process(),
		} {
			raw, err := protojson.Marshal(told)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), canary) {
				t.Errorf("the %s tell a secret:\n%s", what, raw)
			}
		}
	}
	for _, s := range c.inForce() {
		if s.GetSecret() && s.GetKey() != "store.dsn" && s.GetValue() != "set, not shown" {
			t.Errorf("%s is shown as %s", s.GetKey(), s.GetValue())
		}
	}
}

func TestASettingSaysWhetherItIsTheUsualOne(t *testing.T) {
	t.Parallel()
	c := Default()
	for _, s := range c.inForce() {
		if !s.GetDefault() {
			t.Errorf("%s: nothing was set, and it is %s", s.GetKey(), s.GetValue())
		}
	}
	c.Limits.Burst, c.Blobs.URL = 6000, "file:///mnt/blobs"
	got := ""
	for _, s := range c.inForce() {
		if !s.GetDefault() {
			got += fmt.Sprintf("%s: %s # %s\n", s.GetKey(), s.GetValue(), s.GetHelp())
		}
	}
	if want := "blobs.url: file:///mnt/blobs # bucket; a folder DATA/blobs unless set\n" +
		"limits.burst: 6000 # events of a tenant that may come at once; at least 5000\n"; got != want {
		t.Errorf("changed were\n%s", got)
	}
}

func TestAProcessTellsWhatItWorksOn(t *testing.T) {
	t.Parallel()
	engines := func(c Config) (text string) {
		for _, e := range c.engines() {
			text += e.GetKeeps() + ": " + e.GetKind() + " " + e.GetWhere() + "\n"
		}
		return text
	}
	if got, want := engines(Default()), "log: embedded 127.0.0.1:7092\nstore: embedded data/store\nblobs: folder data/blobs\nanalytics: embedded 127.0.0.1:7123\n"; got != want {
		t.Errorf("alone:\n%s", got)
	}
	c := Default()
	c.Log.Kafka = []string{"k1:9092", "k2:9092"}
	c.Store.DSN, c.Blobs.URL = "postgres://skein:x@db.example/skein", "s3://files?region=eu"
	c.Analytics.ClickHouse = "http://skein:x@ch.example:8123/skein"
	if got, want := engines(c), "log: Kafka k1:9092, k2:9092\nstore: PostgreSQL postgres://db.example:5432/skein\nblobs: bucket s3://files?…\n"+
		"analytics: ClickHouse http://skein@ch.example:8123/skein\n"; got != want {
		t.Errorf("with others:\n%s", got)
	}
	c.Analytics.Off = true
	if got := engines(c); !strings.HasSuffix(got, "analytics:  \n") {
		t.Errorf("without analytics:\n%s", got)
	}
}
