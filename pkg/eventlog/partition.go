package eventlog

import "encoding/binary"

// Partition is the partition of a key in a topic of so many partitions (at least 1): the one that Kafka's Java producer
// chooses for a record with a key, murmur2 without its sign modulo the number of partitions. An empty key and none are
// hashed alike, so that they always stand in one partition; Java spreads records without a key.
func Partition(key []byte, partitions int) int32 {
	return int32(murmur2(key) & 0x7fffffff % uint32(partitions)) // less than 2^31 by the mask
}

// murmur2 is Austin Appleby's MurmurHash2, in 32 bits and with the seed of Kafka's clients
// (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
	)
	h := seed ^ uint32(len(data)) // the length is mixed in modulo 2^32
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	if len(data) > 0 {
		var tail uint32
		for i, b := range data {
			tail |= uint32(b) << (8 * i)
		}
		h = (h ^ tail) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
