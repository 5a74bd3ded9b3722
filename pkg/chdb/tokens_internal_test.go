package chdb

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNotesOfBlocksThatNeverCameAreTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		parts   []string
		notes   map[string]string
		file    string
		want    string
		removed int
	}{
		"the part is there":              {[]string{"all_1_1_0", "all_2_2_0"}, map[string]string{"1": "1\tall_1_1_0\ta\n1\tall_2_2_0\tb\n"}, "1", "1\tall_1_1_0\ta\n1\tall_2_2_0\tb\n", 0},
		"the part is not there":          {[]string{"all_1_1_0", "tmp_insert_all_2_2_0"}, map[string]string{"1": "1\tall_1_1_0\ta\n1\tall_2_2_0\tb\n"}, "1", "1\tall_1_1_0\ta\n", 1},
		"it was merged":                  {[]string{"202611_1_9_2"}, map[string]string{"1": "1\t202611_9_9_0\ta\n"}, "1", "1\t202611_9_9_0\ta\n", 0},
		"it was mutated":                 {[]string{"all_9_9_0_12"}, map[string]string{"1": "1\tall_9_9_0\ta\n"}, "1", "1\tall_9_9_0\ta\n", 0},
		"another partition has its like": {[]string{"202611_1_9_2"}, map[string]string{"1": "1\t202612_9_9_0\ta\n"}, "1", "", 1},
		"it was dropped":                 {nil, map[string]string{"1": "1\tall_1_1_0\ta\n2\tall_1_1_0\ta\n"}, "1", "1\tall_1_1_0\ta\n2\tall_1_1_0\ta\n", 0},
		"the newest file is empty":       {nil, map[string]string{"9": "1\tall_9_9_0\ta\n", "10": "1\tall_10_10_0\ta\n", "11": ""}, "10", "", 1},
		"the line is torn":               {[]string{"all_1_1_0"}, map[string]string{"1": "1\tall_1_1_0\ta\n1\tall_2"}, "1", "1\tall_1_1_0\ta\n", 1},
		"only older ones are missing":    {[]string{"all_3_3_0"}, map[string]string{"1": "1\tall_1_1_0\ta\n1\tall_3_3_0\tb\n"}, "1", "1\tall_1_1_0\ta\n1\tall_3_3_0\tb\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			table := filepath.Join(dir, "store", "abc", "abcdef")
			if err := os.MkdirAll(filepath.Join(table, "deduplication_logs"), 0o750); err != nil {
				t.Fatal(err)
			}
			for _, part := range c.parts {
				if err := os.Mkdir(filepath.Join(table, part), 0o750); err != nil {
					t.Fatal(err)
				}
			}
			path := func(number string) string {
				return filepath.Join(table, "deduplication_logs", "deduplication_log_"+number+".txt")
			}
			for number, content := range c.notes {
				if err := os.WriteFile(path(number), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			removed, err := repairTokens(dir)
			if err != nil || removed != c.removed {
				t.Fatal(removed, err)
			}
			if got, err := os.ReadFile(path(c.file)); err != nil || string(got) != c.want {
				t.Fatalf("%q %v", got, err)
			}
		})
	}
}
