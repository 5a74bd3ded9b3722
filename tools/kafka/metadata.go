package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// knownBrokers asks a broker which brokers serve. This one question is asked without a client: those that the workspace
// has are for others (see the import rules), and they try again and remember, where it is the moment that counts.
func knownBrokers(ctx context.Context, addr string) (map[int]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // all was said
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	// A Metadata request of version 1, about no topics.
	request := []byte("\x00\x00\x00\x13" + "\x00\x03\x00\x01" + "\x00\x00\x00\x01" + "\x00\x05skein" + "\x00\x00\x00\x00")
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return readBrokers(c)
}

// readBrokers reads the ids from the answer: length, correlation, and an array of id, host, port and rack.
func readBrokers(answer io.Reader) (map[int]bool, error) {
	var length int32
	if err := binary.Read(answer, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	if length < 0 || length > 1<<20 {
		return nil, fmt.Errorf("an answer of %d bytes", length)
	}
	whole := make([]byte, length)
	if _, err := io.ReadFull(answer, whole); err != nil {
		return nil, err
	}
	r := bytes.NewReader(whole)
	var errs []error
	number := func(into any) {
		if err := binary.Read(r, binary.BigEndian, into); err != nil {
			errs = append(errs, err)
		}
	}
	text := func() {
		var n int16
		number(&n)
		_, _ = r.Seek(int64(max(n, 0)), io.SeekCurrent) // -1 is none; what is missing is missed by the next number
	}
	var correlation, count, id, port int32
	number(&correlation)
	number(&count)
	known := make(map[int]bool)
	for i := int32(0); i < count && len(errs) == 0; i++ {
		number(&id)
		text()
		number(&port)
		text()
		known[int(id)] = true
	}
	return known, errors.Join(errs...)
}
