package chdb

import (
	"os"
	"strconv"
	"strings"
)

// physicalMemory is what the machine, or the group of processes that this one is in, has; 4 GiB where that cannot be told.
func physicalMemory() int64 {
	memory := int64(4 << 30)
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "MemTotal:"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				if kib, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
					memory = kib << 10
				}
			}
		}
	}
	if limit, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil && n < memory {
			memory = n
		}
	}
	return memory
}
