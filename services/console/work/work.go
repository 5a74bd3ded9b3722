// Package work are the pages on which work is done: what is to be done, and a conversation with all that an agent does about it. Every command of theirs
// goes through the API in the name of the agent that the person acts as, with a request id that the page makes, so that sending twice does it once.
package work

import (
	"net/http"

	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// Pages are the pages of work. They are safe for concurrent use.
type Pages struct {
	site          *web.Site
	conversations conversationv1.ConversationServiceClient
	timelines     timelinev1.TimelineServiceClient
	boards        boardv1.BoardServiceClient
	directory     directoryv1.DirectoryServiceClient
	channels      channelv1.ChannelServiceClient
	blobs         blobv1.BlobServiceClient
}

// New makes them.
func New(site *web.Site) *Pages {
	return &Pages{
		site: site, conversations: conversationv1.NewConversationServiceClient(site.API()), timelines: timelinev1.NewTimelineServiceClient(site.API()),
		boards: boardv1.NewBoardServiceClient(site.API()), directory: directoryv1.NewDirectoryServiceClient(site.API()),
		channels: channelv1.NewChannelServiceClient(site.API()), blobs: blobv1.NewBlobServiceClient(site.API()),
	}
}

// Mount serves them.
func (p *Pages) Mount(mux *http.ServeMux) {
	at := view.Work.Path()
	get := func(path string, answer func(*web.Call) error) { mux.Handle("GET "+at+path, p.site.Handle(answer)) }
	post := func(path string, answer func(*web.Call) error) {
		mux.Handle("POST "+at+"/{conversation}"+path, p.site.Handle(answer))
	}
	get("", p.list)
	get("/more", p.more)
	get("/stream", p.listStream)
	get("/{conversation}", p.conversation)
	get("/{conversation}/older", p.older)
	get("/{conversation}/stream", p.conversationStream)
	post("/reply", p.reply)
	post("/typing", p.typing)
	post("/note", p.note)
	post("/take", p.take)
	post("/transfer", p.transfer)
	post("/status", p.status)
	post("/snooze", p.snooze)
	post("/resolve", p.resolve)
	post("/reopen", p.reopen)
	post("/categorize", p.categorize)
	post("/mark", p.mark)
	post("/link", p.link)
	post("/unlink", p.unlink)
	post("/token", p.token)
}
