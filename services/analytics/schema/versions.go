package schema

import "fmt"

// versionTable says which migrations were applied. On a cluster every server holds it whole, so that it does not matter which one is asked.
const versionTable = "schema_versions"

// versions are goose's questions to the version table.
type versions struct{ t *target }

func (v versions) CreateTable(table string) string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s%s (
		version_id Int64 COMMENT 'Migration that was applied.',
		is_applied Bool COMMENT 'Always true.',
		tstamp DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When.'
	) ENGINE = %s ORDER BY (version_id, tstamp)
	COMMENT 'Which migrations were applied to this database.'`, table, v.t.onCluster(), v.t.everywhere("MergeTree"))
}

func (versions) InsertVersion(table string) string {
	return fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES ($1, $2)", table)
}

func (versions) DeleteVersion(table string) string {
	return fmt.Sprintf("ALTER TABLE %s DELETE WHERE version_id = $1 SETTINGS mutations_sync = 2", table)
}

func (versions) GetMigrationByVersion(table string) string {
	return fmt.Sprintf("SELECT tstamp, is_applied FROM %s WHERE version_id = $1 ORDER BY tstamp DESC LIMIT 1", table)
}

func (versions) ListMigrations(table string) string {
	return fmt.Sprintf("SELECT version_id, is_applied FROM %s ORDER BY version_id DESC", table)
}

func (versions) GetLatestVersion(table string) string {
	return fmt.Sprintf("SELECT maxOrNull(version_id) FROM %s", table)
}
