package schema

import (
	"io/fs"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Statements are all statements of the migrations as a target takes them, by file.
func Statements(auth clickhouse.Auth, cfg Config) (map[string][]string, error) {
	t, err := newTarget(clickhouse.Options{Auth: auth}, cfg)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	files, err := t.files()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		for _, part := range strings.Split(string(text), "-- +goose StatementBegin\n")[1:] {
			statement, _, _ := strings.Cut(part, "-- +goose StatementEnd")
			out[name] = append(out[name], strings.TrimSpace(statement))
		}
	}
	return out, nil
}
