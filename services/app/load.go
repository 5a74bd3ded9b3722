package app

import (
	"fmt"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// envPrefix begins the names of environment variables; "_" between the words stands for ".".
const envPrefix = "SKEIN_"

// Load reads the configuration: file may be empty; of flags, those count that were set and bear the name of a key.
func Load(path string, flags *pflag.FlagSet) (Config, error) {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(Default(), "koanf"), nil); err != nil {
		return Config{}, fmt.Errorf("config: defaults: %w", err)
	}
	known := k.Keys()
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return Config{}, fmt.Errorf("config: read %s: %w", path, err)
		}
	}
	fromEnv := env.Provider(".", env.Opt{Prefix: envPrefix, TransformFunc: func(name, value string) (string, any) {
		return envKey(name, known), value
	}})
	if err := k.Load(fromEnv, nil); err != nil {
		return Config{}, fmt.Errorf("config: environment: %w", err)
	}
	if flags != nil {
		if err := k.Load(posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
			if !f.Changed || f.Annotations[configKey] == nil {
				return "", nil
			}
			return f.Annotations[configKey][0], posflag.FlagVal(flags, f)
		}), nil); err != nil {
			return Config{}, fmt.Errorf("config: flags: %w", err)
		}
	}
	var c Config
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName: "koanf", WeaklyTypedInput: true, ErrorUnused: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")),
	}})
	if err != nil {
		return Config{}, explain(err)
	}
	if err := fetchSecrets(&c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// envKey finds the key that a variable means: keys hold "_" too, so it is the known key that reads the same.
func envKey(name string, known []string) string {
	name = strings.ToLower(strings.TrimPrefix(name, envPrefix))
	for _, key := range known {
		if strings.ReplaceAll(key, ".", "_") == name {
			return key
		}
	}
	return "" // not a setting: SKEIN_SERVER and SKEIN_TOKEN are for the client commands
}

// explain makes the decoder's words readable.
func explain(err error) error {
	text := strings.NewReplacer("\n", " ", "* ", "").Replace(err.Error())
	return fmt.Errorf("config: %s", text)
}

const configKey = "skein_config_key"

// BindFlag makes a flag set a key of the configuration.
func BindFlag(flags *pflag.FlagSet, flag, key string) error {
	if err := flags.SetAnnotation(flag, configKey, []string{key}); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}
