// Package conversation is the read side that answers what is being dealt with: the fold that makes interactions of events, the fold of
// the links that join them, their queries, the commands of those who work on them, and their gRPC server.
package conversation
