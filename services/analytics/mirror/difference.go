package mirror

import (
	"bytes"
	"errors"
	"fmt"
)

// errRows is a fault of what a source says: it is for good, as far as one entity goes.
var errRows = errors.New("mirror: the rows of a source are not as they should be")

// rowName tells the rows of an entity apart.
type rowName struct{ table, key string }

// difference gives what has to be sent so that the rows of an entity, of which old was sent, are as they are now, by table; and what is
// sent then. Of one row, what is taken back comes first.
func difference(old []kept, now []Row, tables map[string]*Table) (changes map[string][]change, rows []kept, err error) {
	before := make(map[rowName]kept, len(old))
	for _, r := range old {
		before[rowName{r.table, r.key}] = r
	}
	after := make(map[rowName]bool, len(now))
	byTable := make(map[string][]kept, len(tables))
	for _, r := range now {
		if r.Table == nil || tables[r.Table.Name] != r.Table {
			return nil, nil, fmt.Errorf("%w: a row with the key %q is of a table that the source does not declare", errRows, r.Key)
		}
		name := rowName{r.Table.Name, r.Key}
		if after[name] {
			return nil, nil, fmt.Errorf("%w: two rows of %s have the key %q", errRows, name.table, name.key)
		}
		after[name] = true
		byTable[name.table] = append(byTable[name.table], kept{name.table, name.key, r.Data})
	}
	changes = map[string][]change{}
	for _, r := range old {
		if !after[rowName{r.table, r.key}] {
			changes[r.table] = append(changes[r.table], change{back, r.key, r.data})
		}
	}
	for _, r := range now {
		table := r.Table.Name
		was, there := before[rowName{table, r.Key}]
		switch {
		case there && bytes.Equal(was.data, r.Data):
			continue
		case there && r.Table.Signed:
			changes[table] = append(changes[table], change{back, r.Key, was.data})
		case there:
			changes[table] = append(changes[table], change{former, r.Key, was.data})
		}
		changes[table] = append(changes[table], change{holds, r.Key, r.Data})
	}
	for _, r := range now { // those of one table together
		rows = append(rows, byTable[r.Table.Name]...)
		delete(byTable, r.Table.Name)
	}
	return changes, rows, nil
}

// withdraw gives what was sent of an entity, without changes of a table that were not sent after all.
func withdraw(rows []kept, table string, changes []change) []kept {
	touched := make(map[string]bool, len(changes))
	var as []kept // as it was
	for _, c := range changes {
		touched[c.key] = true
		if c.kind != holds {
			as = append(as, kept{table, c.key, c.data})
		}
	}
	var others []kept
	for _, r := range rows {
		switch {
		case r.table != table:
			others = append(others, r)
		case !touched[r.key]:
			as = append(as, r)
		}
	}
	return append(others, as...)
}
