// Package customers are the pages that tell who a customer is and what happened: finding one, the timeline that grows, the customer's conversations, and what
// was changed about whose an address is.
package customers

import (
	"net/http"
	"strings"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// onPage is how many events, hits or conversations are fetched at once.
const onPage = 50

// Pages are the pages of customers. They are safe for concurrent use.
type Pages struct {
	site          *web.Site
	customers     customerv1.CustomerServiceClient
	timelines     timelinev1.TimelineServiceClient
	conversations conversationv1.ConversationServiceClient
	search        searchv1.SearchServiceClient
}

// New makes them.
func New(site *web.Site) *Pages {
	return &Pages{
		site: site, customers: customerv1.NewCustomerServiceClient(site.API()), timelines: timelinev1.NewTimelineServiceClient(site.API()),
		conversations: conversationv1.NewConversationServiceClient(site.API()), search: searchv1.NewSearchServiceClient(site.API()),
	}
}

// Mount serves them.
func (p *Pages) Mount(mux *http.ServeMux) {
	for path, answer := range map[string]func(*web.Call) error{
		"GET ":           p.find,
		"GET /latest":    p.latest,
		"GET /hits":      p.hits,
		"GET /conflicts": p.conflicts,

		"GET /{customer}":                              p.customer,
		"GET /{customer}/older":                        p.older,
		"GET /{customer}/newer":                        p.newer,
		"GET /{customer}/stream":                       p.stream,
		"GET /{customer}/conversations":                p.moreConversations,
		"GET /{customer}/conversations/{conversation}": p.conversation,
		"GET /{customer}/history":                      p.moreHistory,

		"GET /{customer}/merge":      p.askMerge,
		"POST /{customer}/merge":     p.merge,
		"GET /{customer}/split":      p.askSplit,
		"POST /{customer}/split":     p.split,
		"GET /{customer}/link":       p.askLink,
		"POST /{customer}/link":      p.link,
		"GET /{customer}/unlink":     p.askUnlink,
		"POST /{customer}/unlink":    p.unlink,
		"GET /{customer}/attribute":  p.askAttribute,
		"POST /{customer}/attribute": p.attribute,
		"POST /{customer}/undo":      p.undo,
	} {
		method, rest, _ := strings.Cut(path, " ")
		mux.Handle(method+" "+view.Customers.Path()+rest, p.site.Handle(answer))
	}
}
