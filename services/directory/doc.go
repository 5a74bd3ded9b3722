// Package directory keeps who works for a tenant: agents, teams, queues, business hours and settings, each with the moment from which on it
// holds. It is the fold that keeps every statement, the books that are made of them, the gRPC server by which entries are stated and
// read, and the file in which people write them.
//
// Nothing is rewritten: a statement stays, and another one of the same entry from the same moment on, later in the log, counts instead.
package directory

// Slice is the name of this read model.
const Slice = "directory"
