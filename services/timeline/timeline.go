// Package timeline is the read side that answers what happened with a customer, on every channel: its keys, its fold,
// its queries and its gRPC server.
//
// An event is filed under each customer endpoint that it names; one that names none, under the endpoint that opened its
// thread, as soon as that is known. Who the customer behind an endpoint is, is decided when a timeline is read: lists
// over several endpoints are merged by time.
package timeline

// Slice is the name of this read model.
const Slice = "timeline"
