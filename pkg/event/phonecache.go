package event

import (
	"sync"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// phoneCache remembers how telephone numbers read, because libphonenumber takes some 25 µs and a call's events name the
// same few numbers over and over. The zero value is ready. It is safe for concurrent use.
type phoneCache struct {
	mu         sync.Mutex
	young, old map[phoneKey]Endpoint // what was used since the last turn, and before it
}

type phoneKey struct{ value, region string }

const phonesPerTurn = 4096

// normalise is Normalise for any address, faster for a telephone number that was seen lately.
func (c *phoneCache) normalise(a *eventv1.Address) (Endpoint, error) {
	if a.GetKind() != eventv1.EndpointKind_ENDPOINT_KIND_PHONE || a.GetNamespace() != "" {
		return Normalise(a)
	}
	key := phoneKey{a.GetValue(), a.GetRegion()}
	if e, ok := c.get(key); ok {
		return e, nil
	}
	e, err := Normalise(a)
	if err == nil {
		c.put(key, e)
	}
	return e, err
}

func (c *phoneCache) get(key phoneKey) (Endpoint, bool) {
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

func (c *phoneCache) put(key phoneKey, e Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(key, e)
}

// insert wants the lock.
func (c *phoneCache) insert(key phoneKey, e Endpoint) {
	if c.young == nil || len(c.young) == phonesPerTurn {
		c.old, c.young = c.young, make(map[phoneKey]Endpoint, phonesPerTurn)
	}
	c.young[key] = e
}
