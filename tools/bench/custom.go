package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/custom/cloudevents"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
)

// anyOrder is what a shop tells of an order.
const anyOrder = `{"order":"%d","state":"created","currency":"EUR","total":59.90,"lines":[{"sku":"LAMP-17","name":"Aurora, black","quantity":1,"price":49.90},` +
	`{"sku":"BULB-E27","name":"Bulb E27, warm white","quantity":2,"price":5.00}],"ship_to":{"country":"AT","city":"Graz","zip":"8010"}}`

// cloudEvent is the nth, in structured mode.
func cloudEvent(n int64) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"o-%d","source":"/shop/orders","type":"com.lumen.order.created","time":"%s","subject":"order-%[1]d",`+
		`"datacontenttype":"application/json","skeinemail":"anna%[3]d@example.com","skeinname":"Anna Schmidt","data":`+anyOrder+`}`, n, cloudTime(n), n%customers, n)
}

func cloudTime(n int64) string { return time.Unix(wroteAt+n/customers, 0).UTC().Format(time.RFC3339) }

// leastEvent is what an event needs.
type leastEvent struct {
	SpecVersion, ID, Source, Type, Subject, DataContentType, SkeinEmail, SkeinName string
	Time                                                                           time.Time
	Data                                                                           json.RawMessage
}

func cloudHooks() []hook {
	const perBatch = 20
	at := path("cloudevents", "ce")
	bearer := func(d delivery) error { return checked(d.header["Authorization"], "Bearer "+secret) }
	headers := func(contentType string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + secret, "Content-Type": contentType}
	}
	open := func(mux *http.ServeMux) (channel.Channel, error) {
		return cloudevents.New(cloudevents.Config{Mux: mux, Inboxes: []cloudevents.Inbox{
			{Tenant: tenant, Inbox: "ce", Secrets: []string{secret}, Provider: "shop", TypePrefix: "com.lumen."},
		}})
	}
	return []hook{
		{
			channel: "custom.cloudevents", message: "an order, structured", events: 1, open: open, least: decoded[leastEvent](bearer),
			next: func(n int64) (delivery, error) {
				return delivery{at, headers("application/cloudevents+json"), cloudEvent(n)}, nil
			},
		},
		{
			channel: "custom.cloudevents", message: "an order, binary", events: 1, open: open, least: decoded[json.RawMessage](bearer),
			next: func(n int64) (delivery, error) {
				h := headers("application/json")
				for name, value := range map[string]string{
					"specversion": "1.0", "id": fmt.Sprintf("o-%d", n), "source": "/shop/orders", "type": "com.lumen.order.created", "time": cloudTime(n),
					"subject": fmt.Sprintf("order-%d", n), "skeinemail": fmt.Sprintf("anna%d@example.com", n%customers), "skeinname": "Anna Schmidt",
				} {
					h["Ce-"+name] = value
				}
				return delivery{at, h, fmt.Appendf(nil, anyOrder, n)}, nil
			},
		},
		{
			channel: "custom.cloudevents", message: fmt.Sprintf("%d orders in a batch", perBatch), events: perBatch, open: open, least: decoded[[]leastEvent](bearer),
			next: func(n int64) (delivery, error) {
				body := []byte("[")
				for i := range int64(perBatch) {
					if i > 0 {
						body = append(body, ',')
					}
					body = append(body, cloudEvent(n*perBatch+i)...)
				}
				return delivery{at, headers("application/cloudevents-batch+json"), append(body, ']')}, nil
			},
		},
	}
}

// mappedHook is a product of whose webhooks expressions make messages.
func mappedHook() hook {
	const header = "X-Shop-Signature"
	signature := func(body []byte) string { return hex.EncodeToString(sum(sha256.New, body)) }
	return hook{
		channel: "custom.mapped", message: "a message, by expressions", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return mapped.New(mapped.Config{Mux: mux, Inboxes: []mapped.Inbox{{Tenant: tenant, Inbox: "mp", Mapping: mapped.Mapping{
				Provider: "shop", Verify: mapped.Verify{HMAC: mapped.HMAC{Header: header, Secrets: []string{secret}}}, Unmatched: "keep",
				Events: []mapped.Event{{
					When: `body.kind == "message"`, Type: "message.received", Thread: "body.chat.id", NativeID: "body.id", OccurredAt: "body.at",
					Channel: "web_chat", Direction: "inbound", Actor: "customer", Language: "body.?lang", Text: "body.text",
					Parties: []mapped.Party{{Visitor: "body.from.visitor", Name: "body.from.?name", Role: "sender"}, {Email: "body.from.?email", Role: "sender"}},
				}},
			}}}})
		},
		next: func(n int64) (delivery, error) {
			body := fmt.Appendf(nil, `{"kind":"message","id":%d,"chat":{"id":"c-%d","topic":"orders"},"at":"%s","text":%q,"lang":"en",`+
				`"from":{"visitor":"v-%[2]d","name":"Anna Schmidt","email":"anna%[2]d@example.com"}}`, n, n%customers, cloudTime(n), question)
			return delivery{path("mapped", "mp"), map[string]string{header: signature(body), "Content-Type": "application/json"}, body}, nil
		},
		least: decoded[struct {
			Kind, Text, Lang string
			ID               json.Number
			Chat             struct{ ID string }
			At               time.Time
			From             struct{ Visitor, Name, Email string }
		}](func(d delivery) error {
			return checked(d.header[header], signature(d.body))
		}),
	}
}
