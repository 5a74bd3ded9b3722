package scope

import "errors"

var (
	// ErrUnknown means that an id names nothing.
	ErrUnknown = errors.New("scope: there is no such customer, conversation or interaction")
	// ErrExpired means that a version is of a read model that is gone.
	ErrExpired = errors.New("scope: the links were built anew since: begin again")
)
