package mapped

import "time"

// Mapping says how what a product delivers becomes events. Its texts are expressions of CEL (https://cel.dev) where that is said;
// the tags are those of the configuration file. In the place of an expression for a word of the contract (a type, channel,
// direction, role, side and the like) the word itself may stand.
type Mapping struct {
	// Provider that events name, such as shopify.
	Provider string `koanf:"provider" help:"name of the product in events, such as shopify"`
	// Format of bodies: json (the default), or form.
	Format string `koanf:"format" help:"json, or form for application/x-www-form-urlencoded"`
	// Verify says how the product proves that a delivery is its own.
	Verify Verify `koanf:"verify"`
	// Handshake answers the product's question whether the endpoint is the company's.
	Handshake Handshake `koanf:"handshake"`
	// Split gives a list, each of whose items is read by itself, as the variable item. Without it the body is read as one.
	Split string `koanf:"split" help:"a list in the body, each item of which is read by itself as item"`
	// Unmatched says what becomes of what no event's When is true of: ignore (the default), or keep, which rejects it.
	Unmatched string `koanf:"unmatched" help:"what no event matches: ignore, or keep among the dead letters"`
	// Events that a body or an item gives: each whose When is true.
	Events []Event `koanf:"events" help:"what a body, or an item of it, tells"`
}

// Event says how one event is made. Everything but Type, Thread and NativeID may be missing, and an expression that gives null or
// an optional without value leaves its field out.
type Event struct {
	// When is a condition; without it the event is always told.
	When string `koanf:"when" help:"a condition"`
	// Type is a type of the registry or ext.<provider>.<name>, as a word or as an expression.
	Type string `koanf:"type" help:"the event's type, such as message.received or ext.shopify.order_created"`
	// Thread and NativeID are texts or whole numbers.
	Thread   string `koanf:"thread" help:"the product's id of what the event belongs to"`
	NativeID string `koanf:"native_id" help:"the product's id of the event, in its thread"`
	// OccurredAt is a timestamp, or a text as RFC 3339.
	OccurredAt  string `koanf:"occurred_at" help:"when it happened"`
	Channel     string `koanf:"channel" help:"the medium, such as web_chat or task"`
	Direction   string `koanf:"direction" help:"inbound, outbound or internal"`
	Origin      string `koanf:"origin" help:"how the interaction came about, such as inbound or campaign"`
	Language    string `koanf:"language" help:"a language tag"`
	Queue       string `koanf:"queue" help:"the queue, by its name in the directory"`
	Interaction string `koanf:"interaction" help:"the product's id of the interaction"`
	Visit       string `koanf:"visit" help:"the product's id of the queue visit"`
	Assignment  string `koanf:"assignment" help:"the product's id of the assignment"`
	Correlation string `koanf:"correlation" help:"what a chain of events has in common"`
	// Actor is who did it: customer, agent, bot or system. ActorID is the agent's or bot's.
	Actor   string  `koanf:"actor" help:"who did it: customer, agent, bot or system"`
	ActorID string  `koanf:"actor_id" help:"the agent's or bot's id"`
	Parties []Party `koanf:"parties" help:"who takes part, the one who opened first"`
	// Text is short for the text of a message's or note's content.
	Text string `koanf:"text" help:"the text of a message or note"`
	// Content holds the body of the type (message_received for message.received) and attachments: expressions under the names of
	// the contract's fields. Without it, a foreign type carries what came as it came.
	Content map[string]any `koanf:"content" help:"the body of the type, field by field, and attachments"`
}

// Party is who takes part. It has one address at most; where that is missing or cannot be one, the party has none, and shows by its
// name. One without address and name is left out.
type Party struct {
	When       string `koanf:"when" help:"a condition"`
	Email      string `koanf:"email" help:"a mail address"`
	Phone      string `koanf:"phone" help:"a telephone number"`
	Visitor    string `koanf:"visitor" help:"a visitor of a page or user of an application"`
	Social     string `koanf:"social" help:"a user of a network or messenger"`
	SIP        string `koanf:"sip" help:"a SIP address"`
	Identifier string `koanf:"identifier" help:"an id that reaches nobody: a login, a CRM's"`
	// Namespace of a social address or identifier; the provider unless set.
	Namespace string `koanf:"namespace" help:"whose id it is; the provider unless set"`
	// Region by which a number without country code is read.
	Region string `koanf:"region" help:"country by which a number without country code is read, such as DE"`
	Name   string `koanf:"name" help:"the name that is shown"`
	Role   string `koanf:"role" help:"sender, recipient, author and the like"`
	// Side is customer unless set.
	Side string `koanf:"side" help:"customer, or company"`
}

// Verify is how a delivery is known to be the product's: one of the ways must be set. Of several secrets each is good, while one takes
// the place of another.
type Verify struct {
	HMAC             HMAC             `koanf:"hmac"`
	StandardWebhooks StandardWebhooks `koanf:"standard_webhooks"`
	Header           Token            `koanf:"header"`
	Query            Token            `koanf:"query"`
	Bearer           Secrets          `koanf:"bearer"`
	Basic            Basic            `koanf:"basic"`
}

// HMAC is a signature over the body.
type HMAC struct {
	Header    string   `koanf:"header" help:"header that holds the signature"`
	Secrets   []string `koanf:"secrets" secret:"true" help:"the keys"`
	Algorithm string   `koanf:"algorithm" help:"sha256 unless set; sha1, sha512"`
	Encoding  string   `koanf:"encoding" help:"hex unless set; base64"`
	Prefix    string   `koanf:"prefix" help:"what stands before the signature, such as sha256="`
	// Part is the signature's name in a header of several parts, such as v1 in t=1772442003,v1=5257a8…; it may stand there
	// more than once.
	Part string `koanf:"part" help:"name of the signature in a header of several parts: v1 in t=…,v1=…"`
	// Signed is what is signed, with {body}, {timestamp}, {url} and {method} in it; {body} unless set.
	Signed          string `koanf:"signed" help:"what is signed, such as v0:{timestamp}:{body}; {body} unless set"`
	TimestampHeader string `koanf:"timestamp_header" help:"header that holds the time of the signature"`
	TimestampPart   string `koanf:"timestamp_part" help:"name of the time in the header of the signature"`
	// Tolerance is how old a signature may be, where there is a time; 5 minutes unless set.
	Tolerance time.Duration `koanf:"tolerance" help:"how old a signature may be; 5m unless set"`
	// URL is where the product reaches the endpoint, for {url}.
	URL string `koanf:"url" help:"where the product reaches the endpoint, where that is signed, too"`
}

// StandardWebhooks is the scheme of https://www.standardwebhooks.com.
type StandardWebhooks struct {
	Secrets   []string      `koanf:"secrets" secret:"true" help:"whsec_ and base64"`
	Tolerance time.Duration `koanf:"tolerance" help:"how old a signature may be; 5m unless set"`
}

// Token is a secret that stands in a header or in the query.
type Token struct {
	Name    string   `koanf:"name" help:"name of the header or parameter"`
	Secrets []string `koanf:"secrets" secret:"true" help:"what it says"`
}

// Secrets are bearer tokens.
type Secrets struct {
	Secrets []string `koanf:"secrets" secret:"true" help:"bearer tokens"`
}

// Basic is HTTP's basic authentication.
type Basic struct {
	Username  string   `koanf:"username" help:"the user"`
	Passwords []string `koanf:"passwords" secret:"true" help:"the passwords"`
}

// Handshake answers by which a product finds out whether the endpoint is the company's.
type Handshake struct {
	// When is true of a delivery that is a question only; it is verified like all others. Answer is a text, or a map that is
	// answered as JSON.
	When   string `koanf:"when" help:"is true of a delivery that only asks"`
	Answer string `koanf:"answer" help:"the answer: a text, or a map for JSON"`
	// Get answers questions that come by GET, which nothing signs.
	Get GetHandshake `koanf:"get"`
}

// GetHandshake answers a GET.
type GetHandshake struct {
	// Answer is a text of query; Token the parameter that must hold one of the secrets, where there is one.
	Answer  string   `koanf:"answer" help:"the answer, such as query[\"hub.challenge\"]"`
	Token   string   `koanf:"token" help:"parameter that holds the secret"`
	Secrets []string `koanf:"secrets" secret:"true" help:"what it says"`
}
