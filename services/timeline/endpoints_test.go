package timeline_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/timeline"
)

func (b *book) seen(endpoint event.ID) (scope.Seen, bool) {
	b.t.Helper()
	seen, found, err := timeline.NewEndpoints(b.store).Seen(context.Background(), tenant, endpoint)
	if err != nil {
		b.t.Fatal(err)
	}
	return seen, found
}

func (b *book) named(thread, id string, minute int, address, name string) {
	b.t.Helper()
	s := message(thread, id, "x", minute, address)
	s.Parties[0].DisplayName = name
	b.publish(s)
}

func TestWhatIsSeenOfAnEndpointIsWhatItsNewestReadableEventShows(t *testing.T) {
	b := newBook(t)
	if _, found := b.seen(b.endpoint(people[0])); found {
		t.Error("something is seen of an endpoint that no event names")
	}
	b.named("t1", "1", 3, "A@X.org", "Anna W.")
	b.named("t1", "2", 5, people[0], "Anna Weber")
	b.named("t2", "3", 4, people[0], "A.")
	b.named("t2", "4", 6, people[0], "")
	sealed := b.record(message("t2", "5", "x", 7, people[0]))
	sealed.Seal, sealed.Content = "key-7", []byte("ciphertext")
	b.append(sealed)
	broken := b.record(message("t2", "6", "x", 8, people[0]))
	broken.Content = []byte("\xff")
	b.append(broken)
	b.foldAndFollow()
	seen, found := b.seen(b.endpoint(people[0]))
	if !found || seen.Kind != eventv1.EndpointKind_ENDPOINT_KIND_EMAIL || seen.Address != people[0] || seen.DisplayName != "Anna Weber" ||
		seen.First.UnixNano() != at(3) || seen.Last.UnixNano() != at(8) {
		t.Errorf("got %+v, %v", seen, found)
	}
	if _, found, _ := timeline.NewEndpoints(b.store).Seen(t.Context(), "other", b.endpoint(people[0])); found {
		t.Error("another tenant sees it")
	}
}

func TestOfALongCallTheFirstEventsShowWhoseItIs(t *testing.T) {
	b := newBook(t)
	for i := range 40 {
		var owners []string
		if i == 1 {
			owners = people[:1]
		}
		b.say("call", i, owners...)
	}
	b.foldAndFollow()
	if seen, _ := b.seen(b.endpoint(people[0])); seen.Address != people[0] || seen.First.UnixNano() != at(0) || seen.Last.UnixNano() != at(39) {
		t.Errorf("got %+v", seen)
	}
}

func TestOfASocialUserTheNamespaceIsSeen(t *testing.T) {
	b := newBook(t)
	s := message("t1", "1", "x", 1)
	s.OccurredAt = timestamppb.New(epoch)
	address := &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat/gh_1", Value: "oAnna"}
	s.Parties = []*eventv1.SubmittedParty{{Address: address, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: "小安"}}
	b.publish(s)
	b.foldAndFollow()
	endpoint, err := event.Normalise(address)
	if err != nil {
		t.Fatal(err)
	}
	if seen, _ := b.seen(b.keyring.Tenant(tenant).Endpoint(endpoint)); seen.Namespace != "wechat/gh_1" || seen.Address != "oAnna" || seen.DisplayName != "小安" {
		t.Errorf("got %+v", seen)
	}
}
