package event

import (
	"strings"
	"sync"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// endpointCache remembers how addresses read, and their ids: the events of a thread name the same few over and over, and a
// telephone number takes libphonenumber some 25 µs. The zero value is ready. It is safe for concurrent use.
type endpointCache struct {
	mu         sync.Mutex
	young, old map[addressKey]namedEndpoint // what was used since the last turn, and before it
}

// addressKey is an address as it was stated, to one tenant.
type addressKey struct {
	ids                      *IDs
	kind                     eventv1.EndpointKind
	value, namespace, region string
}

type namedEndpoint struct {
	Endpoint
	id string
}

const addressesPerTurn = 8192

// endpoint is what Normalise gives, and the id that a tenant has for it.
func (c *endpointCache) endpoint(ids *IDs, a *eventv1.Address) (namedEndpoint, error) {
	key := addressKey{ids, a.GetKind(), a.GetValue(), a.GetNamespace(), a.GetRegion()}
	if e, ok := c.get(key); ok {
		return e, nil
	}
	normal, err := Normalise(a)
	if err != nil {
		return namedEndpoint{}, err
	}
	e := namedEndpoint{normal, ids.Endpoint(normal).String()}
	if len(key.value) <= maxCachedAddress {
		c.put(key, e)
	}
	return e, nil
}

// maxCachedAddress keeps long ones, of which there are few, from taking the memory.
const maxCachedAddress = 256

func (c *endpointCache) get(key addressKey) (namedEndpoint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[key]
	if !ok {
		if e, ok = c.old[key]; ok {
			c.insert(key, e)
		}
	}
	return e, ok
}

func (c *endpointCache) put(key addressKey, e namedEndpoint) {
	key.value, key.namespace, key.region = strings.Clone(key.value), strings.Clone(key.namespace), strings.Clone(key.region)
	e.Value, e.Namespace = strings.Clone(e.Value), strings.Clone(e.Namespace) // they may be parts of a whole request
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(key, e)
}

// insert wants the lock.
func (c *endpointCache) insert(key addressKey, e namedEndpoint) {
	if c.young == nil {
		c.young = make(map[addressKey]namedEndpoint)
	}
	if len(c.young) == addressesPerTurn {
		c.old, c.young = c.young, c.old
		if c.young == nil {
			c.young = make(map[addressKey]namedEndpoint, addressesPerTurn)
		}
		clear(c.young)
	}
	c.young[key] = e
}
