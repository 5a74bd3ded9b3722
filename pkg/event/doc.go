// Package event is Skein's event model: the registry of event types, normalised addresses, keyed ids, the way from a
// connector's submission to a record of the log, and that record's encoding.
//
// It derives everything from what it is given: it reads no log and no store, looks nothing up and takes the time from
// its caller. The only file that it touches is the keyring's.
package event

// The topics of the log.
const (
	TopicInteractions = "skein.interactions.v1" // what happens with a customer, by thread id
	TopicAgents       = "skein.agents.v1"       // presence, routing status, capacity, by agent id
	TopicLinks        = "skein.links.v1"        // links, merges, consent, erasure, by tenant
	TopicDirectory    = "skein.directory.v1"    // settings, agents, teams, queues, by tenant
	TopicAlerts       = "skein.alerts.v1"       // alerts of the floor, by tenant
	TopicDead         = "skein.dead.v1"         // what could not be understood, by source position
)
