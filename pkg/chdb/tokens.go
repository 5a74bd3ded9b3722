package chdb

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// repairTokens takes back what the last process noted and did not do. For a table with non_replicated_deduplication_window the engine notes
// the token of a block and then moves the block's part into place. When it is killed in between, the block is not there, and sent again with its
// token it would be dropped without a word: an INSERT that fails once and then succeeds loses its rows. Both steps are done under one lock of the
// table, so only the last note of a table can be wrong. It is removed where no part holds its block. No process may have the directory open.
// It gives the number of notes that were removed.
func repairTokens(dir string) (removed int, err error) {
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*", "*", "deduplication_logs"))
	if err != nil {
		return 0, fmt.Errorf("chdb: repair: %w", err)
	}
	for _, notes := range tables {
		wrong, err := repairTable(notes)
		if err != nil {
			return removed, fmt.Errorf("chdb: repair: %w", err)
		}
		if wrong {
			removed++
		}
	}
	return removed, nil
}

// repairTable repairs the notes of one table, which are numbered files of lines: 1 for a block that came or 2 for one that was dropped, the part, the token.
func repairTable(notes string) (removed bool, err error) {
	entries, err := os.ReadDir(notes)
	if err != nil {
		return false, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return noteNumber(b.Name()) - noteNumber(a.Name()) })
	for _, entry := range entries {
		path := filepath.Join(notes, entry.Name())
		content, err := os.ReadFile(path) //nolint:gosec // in the configured directory
		if err != nil {
			return false, err
		}
		whole := content[:bytes.LastIndexByte(content, '\n')+1]
		if torn := len(whole) < len(content); torn {
			return true, os.Truncate(path, int64(len(whole)))
		}
		if len(whole) == 0 {
			continue
		}
		begin := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
		fields := strings.Fields(string(whole[begin:]))
		if len(fields) < 3 || fields[0] != "1" {
			return false, nil
		}
		there, err := hasBlock(filepath.Dir(notes), fields[1])
		if err != nil || there {
			return false, err
		}
		return true, os.Truncate(path, int64(begin))
	}
	return false, nil
}

func noteNumber(name string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "deduplication_log_"), ".txt"))
	if err != nil {
		return -1
	}
	return n
}

// partName is that of a part: partition, first and last block, level, and mutation if any.
var partName = regexp.MustCompile(`^([^_]+)_(\d+)_(\d+)_\d+(?:_\d+)?$`)

// hasBlock tells whether a directory of a table has a part that holds the blocks of the named one.
func hasBlock(table, part string) (bool, error) {
	want, first, last, ok := blocksOf(part)
	if !ok {
		return true, nil // of a kind that is not known here: left alone
	}
	entries, err := os.ReadDir(table)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		partition, from, to, ok := blocksOf(entry.Name())
		if ok && entry.IsDir() && partition == want && from <= first && to >= last {
			return true, nil
		}
	}
	return false, nil
}

func blocksOf(part string) (partition string, first, last int64, ok bool) {
	m := partName.FindStringSubmatch(part)
	if m == nil {
		return "", 0, 0, false
	}
	first, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return "", 0, 0, false
	}
	last, err = strconv.ParseInt(m[3], 10, 64)
	return m[1], first, last, err == nil
}
