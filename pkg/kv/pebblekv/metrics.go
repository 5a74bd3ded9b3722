package pebblekv

// Metrics are figures about a store as it is now.
type Metrics struct {
	// DiskBytes is all disk space that the store takes, its write-ahead log included.
	DiskBytes uint64
	// WALBytes is the disk space of the write-ahead log: what a start has to replay, and files kept for reuse.
	WALBytes uint64
	// CompactionDebt estimates how many bytes have to be rewritten until the store is in order.
	CompactionDebt uint64
	// ReadAmplification is how many sorted runs a scan looks into; some ten is fine, twenty stop writes.
	ReadAmplification int
}

// Metrics reads the figures; all are 0 once the store is closed or has failed.
func (s *Store) Metrics() Metrics {
	if !s.calls.enter() {
		return Metrics{}
	}
	defer s.calls.leave()
	if s.failure.err() != nil {
		return Metrics{}
	}
	m := s.db.Metrics()
	return Metrics{
		DiskBytes:         m.DiskSpaceUsage(),
		WALBytes:          m.WAL.PhysicalSize + m.WAL.ObsoletePhysicalSize,
		CompactionDebt:    m.Compact.EstimatedDebt,
		ReadAmplification: m.ReadAmp(),
	}
}
