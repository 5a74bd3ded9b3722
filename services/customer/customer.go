// Package customer is the read side that answers who is behind an address: the fold that decides about links, merges and splits in the
// order of the log, what they make of endpoints, now and at any moment before, and the gRPC server by which they are asked for.
//
// Nobody creates customers. Each endpoint names a customer of its own, a node; links give endpoints to other nodes, merges hang nodes
// under one another, and the root of a tree of nodes is a customer. Nothing is deleted: an undo marks what it takes back, so that every
// state of the past can be read from the same rows.
package customer

// Slice is the name of this read model.
const Slice = "customers"
