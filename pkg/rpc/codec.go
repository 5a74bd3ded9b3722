package rpc

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// Decoder decodes a request that it knows a faster way for. data gives its bytes, which are the decoder's from then on. Where it
// reports false, it has changed nothing, and Protobuf decodes the request.
type Decoder func(message any, data func() []byte) bool

// codec is Protobuf's, but for what the decoder decodes.
type codec struct {
	encoding.CodecV2
	decode Decoder
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if c.decode != nil && c.decode(v, data.Materialize) {
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}
