package projection

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

// Tenants gives the tenants of whom a read model holds anything, in the order of its keys. Keys of tenants begin with the byte of their space,
// the length of the tenant's name in a byte, and the name. It costs a seek a tenant.
func Tenants(ctx context.Context, r kv.Reader, space byte) (tenants []string, err error) {
	next := kv.Prefix([]byte{space})
	for {
		tenant, found, err := firstTenant(ctx, r, next)
		if err != nil {
			return nil, fmt.Errorf("projection: find the tenants: %w", err)
		}
		if !found {
			return tenants, nil
		}
		tenants = append(tenants, tenant)
		next.Start = kv.Prefix(append([]byte{space, byte(len(tenant))}, tenant...)).End
	}
}

func firstTenant(ctx context.Context, r kv.Reader, in kv.Range) (tenant string, found bool, err error) {
	it, err := r.Scan(ctx, in)
	if err != nil {
		return "", false, err
	}
	defer it.Close()
	if !it.Next() {
		return "", false, it.Err()
	}
	key := it.Key()
	if len(key) < 2 || len(key) < 2+int(key[1]) {
		return "", false, fmt.Errorf("key %x names none", key)
	}
	return string(key[2 : 2+int(key[1])]), true, nil
}
