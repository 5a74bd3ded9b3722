package app

import (
	"slices"

	"github.com/skein-cx/skein/pkg/lifecycle"
)

// The roles that a process can have.
const (
	roleIngest    = "ingest"
	roleEmail     = "email"
	roleChat      = "chat"
	roleProjector = "projector"
	roleTimeline  = "timeline"
	roleAdmin     = "admin"
)

// Parts that roles need; nobody asks for them by name.
const (
	partKeyring = "keyring"
	partRoom    = "room"
	partBroker  = "broker"
	partLog     = "log"
	partStore   = "store"
	partBlobs   = "blobs"
	partIntake  = "intake"
	partGRPC    = "grpc"
	partHTTP    = "http"
)

// RoleNames are the roles, in the order of an event's way.
func RoleNames() []string {
	return []string{roleEmail, roleChat, roleIngest, roleProjector, roleTimeline, roleAdmin}
}

// graph is what a process is made of, and what each part needs. This is the one place that joins them.
func (a *App) graph() []lifecycle.Part {
	parts := []lifecycle.Part{
		{Name: partKeyring, Start: a.openKeyring},
		{Name: partRoom, Start: a.watchRoom},
		{Name: partLog, Start: a.openLog, Stop: a.closeLog},
		{Name: partStore, Needs: []string{partKeyring}, Start: a.openStore, Stop: a.closeStore},
		{Name: partBlobs, Start: a.openBlobs, Stop: a.closeBlobs},
		{Name: partIntake, Needs: []string{partKeyring, partRoom, partLog, partBlobs}, Start: a.openIntake},
		{Name: partHTTP, Start: a.listenHTTP, Run: a.serveHTTP, Stop: a.stopHTTP},
		{Name: partGRPC, Start: a.listenGRPC, Run: a.serveGRPC, Stop: a.stopGRPC},
		{Name: roleProjector, Needs: []string{partHTTP, partLog, partStore}, Start: a.openProjector, Run: a.project},
		{Name: roleTimeline, Needs: []string{partHTTP, partKeyring, partStore, partGRPC}, Start: a.registerTimeline, Run: a.followTimeline},
		{Name: roleAdmin, Needs: []string{partHTTP, partLog, partStore, partGRPC, roleProjector}, Start: a.registerAdmin},
		{Name: roleIngest, Needs: []string{partHTTP, partIntake, partGRPC}, Start: a.registerIngest},
		{Name: roleChat, Needs: []string{partHTTP, partIntake, roleTimeline}, Start: a.openChat, Run: a.runChat},
		{Name: roleEmail, Needs: []string{partHTTP, partIntake}, Start: a.openEmail, Run: a.runEmail},
	}
	if a.cfg.embeddedLog() {
		parts = append(parts, lifecycle.Part{Name: partBroker, Start: a.startBroker, Stop: a.stopBroker})
		i := slices.IndexFunc(parts, func(p lifecycle.Part) bool { return p.Name == partLog })
		parts[i].Needs = append(parts[i].Needs, partBroker)
	}
	return parts
}
