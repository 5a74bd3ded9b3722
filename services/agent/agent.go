// Package agent is the read side that answers what agents do, have in hand, and did: the fold that keeps what connectors state of them, in
// whatever order it comes, what their states are by that and by their shares of interactions, now and at any moment before, and the gRPC
// server by which they are asked for and changed.
//
// What is kept is kept under the ids that events carry. Whose those are, the directory says when it is read, as of the moment of each event.
package agent

// Slice is the name of this read model.
const Slice = "agents"
