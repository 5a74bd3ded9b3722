package kv

import (
	"cmp"
	"fmt"
	"strings"
)

// Namespace holds the keys of one generation of one slice.
type Namespace struct {
	// Slice is the name of the read model: lower-case letters, digits and "-"; 1 to 63 bytes.
	Slice string
	// Generation counts rebuilds.
	Generation uint32
}

// String is slice/generation.
func (ns Namespace) String() string { return fmt.Sprintf("%s/%d", ns.Slice, ns.Generation) }

// Compare orders namespaces by slice, then by generation.
func (ns Namespace) Compare(other Namespace) int {
	return cmp.Or(strings.Compare(ns.Slice, other.Slice), cmp.Compare(ns.Generation, other.Generation))
}

// Validate returns an ErrInvalid where the slice's name is not allowed. Engines call it.
func (ns Namespace) Validate() error {
	if len(ns.Slice) < 1 || len(ns.Slice) > 63 {
		return fmt.Errorf("%w: the slice name %q has %d bytes instead of 1 to 63", ErrInvalid, ns.Slice, len(ns.Slice))
	}
	for _, c := range []byte(ns.Slice) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%w: the slice name %q has a %q; lower-case letters, digits and - are allowed", ErrInvalid, ns.Slice, c)
		}
	}
	return nil
}
