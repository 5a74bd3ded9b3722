package pgkv

import "time"

// Metrics are figures about a store's connections as they are now.
type Metrics struct {
	// Connections are open, InUse of them are working, and at most Max will be.
	Connections, InUse, Max int
	// Snapshots hold a connection each, of at most MaxSnapshots.
	Snapshots, MaxSnapshots int
	// Waits counts calls that waited for a connection, Waited how long they did.
	Waits  int64
	Waited time.Duration
	// Opened counts the connections that were ever opened.
	Opened int64
}

// Metrics reads the figures.
func (s *Store) Metrics() Metrics {
	stat := s.pool.Stat()
	return Metrics{
		Connections: int(stat.TotalConns()), InUse: int(stat.AcquiredConns()), Max: int(stat.MaxConns()),
		Snapshots: s.slots.inUse(), MaxSnapshots: s.slots.size,
		Waits: stat.EmptyAcquireCount(), Waited: stat.EmptyAcquireWaitTime(), Opened: stat.NewConnsCount(),
	}
}
