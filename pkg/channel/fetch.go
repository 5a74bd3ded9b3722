package channel

import (
	"context"
	"io"
)

// RemoteFile is a file that a provider keeps: an attachment without a blob.
type RemoteFile struct {
	// Tenant, Inbox and Thread say which event it belongs to; Thread is the provider's id.
	Tenant, Inbox, Thread string
	// Source is where it is, as the adapter itself put it into the attachment: the provider's id of the file, or its address.
	Source string
	// MediaType and Name as stated; either may be empty.
	MediaType, Name string
}

// FetchedFile is a file as the provider gives it out.
type FetchedFile struct {
	// Body is read to its end and closed by who asked for it. An error in the middle is one after which to try again.
	Body io.ReadCloser
	// MediaType and Name as the provider says now; empty where it says nothing.
	MediaType, Name string
}

// Fetcher is what a channel also is whose messages come without their files: the provider names them, and gives them out when
// asked. A message is taken in at once, with attachments that have a Source and no blob; the files are fetched afterwards, as often
// as it takes, into the blob store. So a provider need not wait for its own files, and no file is lost to a slow one. It is
// safe for concurrent use, and needs no open channel.
type Fetcher interface {
	// Fetch asks the provider for a file. A *RefusedError means that it cannot be had: it is gone, or lies where nothing may be
	// fetched from. Every other error means that another try may help; one that has a method RetryAfter() time.Duration says when.
	Fetch(ctx context.Context, f RemoteFile) (*FetchedFile, error)
}
