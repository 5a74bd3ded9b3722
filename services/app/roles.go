package app

import (
	"github.com/skein-cx/skein/pkg/lifecycle"
)

// The roles that a process can have.
const (
	roleIngest        = "ingest"
	roleEmail         = "email"
	rolePhone         = "phone"
	roleChat          = "chat"
	roleSocial        = "social"
	roleCustom        = "custom"
	roleProjector     = "projector"
	roleTimeline      = "timeline"
	roleWebhooks      = "webhooks"
	roleSender        = "sender"
	roleFiles         = "files"
	roleBlobs         = "blobs"
	roleCustomers     = "customers"
	roleConversations = "conversations"
	roleSearch        = "search"
	roleTimers        = "timers"
	roleLinker        = "linker"
	roleAgents        = "agents"
	roleAlerts        = "alerts"
	roleAnalytics     = "analytics"
	roleReports       = "reports"
	roleAdmin         = "admin"
	roleConsole       = "console"
)

// Parts that roles need; nobody asks for them by name.
const (
	partKeyring = "keyring"
	partRoom    = "room"
	partBroker  = "broker"
	partLog     = "log"
	partStore   = "store"
	partBlobs   = "blob store"
	partIntake  = "intake"
	partGRPC    = "grpc"
	partHTTP    = "http"
	partLive    = "live"
	partLinks   = "links"
	partBooks   = "books"
	partFloor   = "floor"
	partHouse   = "clickhouse"
)

// RoleNames are the roles, in the order of an event's way.
func RoleNames() []string {
	return []string{
		roleEmail, rolePhone, roleChat, roleSocial, roleCustom, roleIngest, roleProjector, roleTimeline, roleWebhooks, roleSender, roleFiles,
		roleCustomers, roleConversations, roleSearch, roleTimers, roleLinker, roleAgents, roleAlerts, roleAnalytics, roleReports, roleBlobs, roleAdmin, roleConsole,
	}
}

// graph is what a process is made of, and what each part needs; this is the one place that joins them. They start in this
// order and stop in the reverse one: the servers before what their calls work on, the roles before the servers.
func (a *App) graph() []lifecycle.Part {
	log := lifecycle.Part{Name: partLog, Start: a.openLog, Stop: a.closeLog}
	parts := []lifecycle.Part{
		{Name: partKeyring, Start: a.openKeyring},
		{Name: partRoom, Start: a.watchRoom},
	}
	if a.cfg.embeddedLog() {
		parts = append(parts, lifecycle.Part{Name: partBroker, Start: a.startBroker, Stop: a.stopBroker})
		log.Needs = []string{partBroker}
	}
	emailNeeds := []string{partHTTP, partKeyring, partIntake}
	if a.cfg.fetchesMail() {
		emailNeeds = append(emailNeeds, partStore) // for the cursors
	}
	parts = append(parts,
		log,
		lifecycle.Part{Name: partStore, Needs: []string{partKeyring}, Start: a.openStore, Stop: a.closeStore},
		lifecycle.Part{Name: partBlobs, Start: a.openBlobs, Stop: a.closeBlobs},
		lifecycle.Part{Name: partIntake, Needs: []string{partKeyring, partRoom, partLog, partBlobs}, Start: a.openIntake},
		lifecycle.Part{Name: partHTTP, Start: a.listenHTTP, Run: a.serveHTTP, Stop: a.stopHTTP},
		lifecycle.Part{Name: partGRPC, Needs: []string{partHTTP}, Start: a.listenGRPC, Run: a.serveGRPC, Stop: a.stopGRPC},
		// Behind the servers, so that it lets its followers go before the servers wait for them.
		lifecycle.Part{Name: partLive, Needs: []string{partKeyring, partLog, partGRPC}, Start: a.openLive, Run: a.runLive},
		lifecycle.Part{Name: roleProjector, Needs: []string{partHTTP, partLog, partStore}, Start: a.openProjector, Run: a.project},
		lifecycle.Part{Name: partLinks, Needs: []string{partKeyring, partLog, partStore}, Start: a.openLinks, Run: a.followLinks},
		lifecycle.Part{Name: partBooks, Needs: []string{partLog, partStore}, Start: a.openBooks, Run: a.followBooks},
		// What follows the board ends before the servers wait for their calls.
		lifecycle.Part{Name: partFloor, Needs: []string{partLinks, partBooks, partGRPC}, Start: a.openFloor, Run: a.runFloor},
		lifecycle.Part{Name: roleTimeline, Needs: []string{partHTTP, partKeyring, partLog, partStore, partLinks, partGRPC}, Start: a.registerTimeline, Run: a.followTimeline},
		// Before what takes events in: an endpoint that is new gets all that is taken in from then on.
		lifecycle.Part{Name: roleWebhooks, Needs: []string{partHTTP, partLog, partStore, partGRPC}, Start: a.openWebhooks, Run: a.runWebhooks},
		lifecycle.Part{
			Name: roleSender, Needs: []string{partHTTP, partKeyring, partLog, partStore, partBlobs, partIntake, partGRPC, partLive},
			Start: a.openSender, Run: a.runSender,
		},
		lifecycle.Part{Name: roleFiles, Needs: []string{partHTTP, partLog, partStore, partBlobs, partIntake}, Start: a.openFiles, Run: a.runFiles},
		lifecycle.Part{
			Name: roleCustomers, Needs: []string{partHTTP, partKeyring, partLog, partStore, partIntake, partLinks, partGRPC},
			Start: a.registerCustomers,
		},
		lifecycle.Part{
			Name: roleConversations, Needs: []string{partHTTP, partKeyring, partLog, partStore, partBlobs, partIntake, partLinks, partBooks, partGRPC},
			Start: a.registerConversations,
		},
		lifecycle.Part{
			Name: roleSearch, Needs: []string{partHTTP, partKeyring, partLog, partBlobs, partLinks, partGRPC}, Start: a.openSearch, Run: a.runSearch,
		},
		lifecycle.Part{Name: roleTimers, Needs: []string{partHTTP, partLog, partStore, partIntake, partLinks, partBooks}, Start: a.openTimers, Run: a.runTimers},
		lifecycle.Part{
			Name: roleLinker, Needs: []string{partHTTP, partKeyring, partLog, partStore, partBlobs, partIntake, partLinks},
			Start: a.openLinker, Run: a.runLinker,
		},
		lifecycle.Part{
			Name: roleAgents, Needs: []string{partHTTP, partKeyring, partIntake, partFloor, partGRPC}, Start: a.registerAgents,
		},
		lifecycle.Part{Name: roleAlerts, Needs: []string{partHTTP, partLog, partStore, partIntake, partFloor}, Start: a.openAlerts, Run: a.runAlerts},
	)
	parts = append(parts, a.partsOfAnalytics()...)
	return append(parts,
		lifecycle.Part{Name: roleBlobs, Needs: []string{partHTTP, partIntake, partBlobs, partGRPC}, Start: a.openBlobService},
		lifecycle.Part{Name: roleIngest, Needs: []string{partHTTP, partIntake, partGRPC}, Start: a.registerIngest},
		lifecycle.Part{Name: roleChat, Needs: []string{partHTTP, partIntake, partLive, roleTimeline}, Start: a.openChat, Run: a.runChannels(roleChat)},
		lifecycle.Part{Name: roleEmail, Needs: emailNeeds, Start: a.openEmail, Run: a.runChannels(roleEmail)},
		lifecycle.Part{Name: rolePhone, Needs: []string{partHTTP, partIntake, partStore}, Start: a.openPhone, Run: a.runChannels(rolePhone)},
		lifecycle.Part{Name: roleSocial, Needs: []string{partHTTP, partIntake, partStore}, Start: a.openSocial, Run: a.runChannels(roleSocial)},
		lifecycle.Part{Name: roleCustom, Needs: []string{partHTTP, partIntake}, Start: a.openCustom, Run: a.runChannels(roleCustom)},
		lifecycle.Part{Name: roleAdmin, Needs: []string{partHTTP, partLog, partStore, partIntake, partGRPC, roleProjector}, Start: a.registerAdmin},
		lifecycle.Part{Name: roleConsole, Needs: []string{partHTTP, partKeyring, partGRPC}, Start: a.openConsole, Stop: a.closeConsole},
	)
}
