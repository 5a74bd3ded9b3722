package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/channels/custom/archive"
	mails "github.com/skein-cx/skein/services/channels/email/archive"
	"github.com/skein-cx/skein/services/vcon"
)

// Archive says what to import, and as what.
type Archive struct {
	// Path of a file or folder.
	Path string
	// Format is one of ArchiveFormats; found out by the path unless set.
	Format string
	// Inbox that it belongs to; of mails a configured one.
	Inbox string
	// Columns, TimeFormat, Zone, Region and Channel are of tables: services/channels/custom/archive says what they mean.
	Columns             map[string]string
	TimeFormat          string
	Zone                *time.Location
	Region, ChannelName string
}

// ArchiveFormats are the formats of archives, with what they are.
func ArchiveFormats() map[string]string {
	return map[string]string{
		formatMail:     "an mbox file, or a folder of mails (EML files, a Maildir)",
		formatTable:    "a table with a line of column names (CSV, TSV)",
		formatLines:    "submissions as JSON lines, as skein publish takes them",
		formatVCon:     "vCons, one a file, signed or not as the configuration allows",
		formatChatwoot: "conversations with their messages, as Chatwoot's API gives them out",
	}
}

const (
	formatMail     = "mail"
	formatTable    = "table"
	formatLines    = "lines"
	formatChatwoot = "chatwoot"
	formatVCon     = "vcon"
)

// TableFields are what a column of a table can hold, with their meanings.
func TableFields() map[string]string { return archive.Fields() }

// detect finds out the format of an archive.
func detect(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case info.IsDir(), ext == ".mbox", ext == ".mbx":
		return formatMail, nil
	case ext == ".csv", ext == ".tsv":
		return formatTable, nil
	case ext == ".jsonl", ext == ".ndjson":
		return formatLines, nil
	case ext == ".vcon":
		return formatVCon, nil
	case ext == ".json":
		return formatChatwoot, nil
	}
	file, err := os.Open(path) //nolint:gosec // whoever imports it names it
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // nothing was written
	head := make([]byte, 5)
	if _, err := io.ReadFull(file, head); err == nil && bytes.Equal(head, []byte("From ")) {
		return formatMail, nil
	}
	return "", errors.New("say what it is: --format")
}

// openArchive opens an archive for an inbox, and tells whose it is.
func (c *Config) openArchive(a Archive) (history.Source, error) {
	if a.Format == "" {
		var err error
		if a.Format, err = detect(a.Path); err != nil {
			return nil, err
		}
	}
	tenant := c.Tenant
	i := slices.IndexFunc(c.Inboxes, func(in InboxConfig) bool { return in.ID == a.Inbox })
	if i >= 0 {
		tenant = c.Inboxes[i].Tenant
	}
	own := archive.Config{Path: a.Path, Tenant: tenant, Inbox: a.Inbox}
	switch a.Format {
	case formatMail:
		if i < 0 || c.Inboxes[i].Channel != channelEmail {
			return nil, fmt.Errorf("mails belong to a configured inbox of the channel email, and %q is none: its addresses tell which mails are the company's own", a.Inbox)
		}
		inbox, err := c.emailInbox(c.Inboxes[i], nil)
		if err != nil {
			return nil, err
		}
		return mails.Open(mails.Config{Path: a.Path, Inbox: inbox, MaxMessageBytes: c.Email.MaxMessageBytes})
	case formatTable:
		return archive.OpenTable(archive.Table{
			Config: own, Columns: a.Columns, TimeFormat: a.TimeFormat, Zone: a.Zone, Region: a.Region, Channel: a.ChannelName,
		})
	case formatLines:
		return archive.OpenLines(own)
	case formatChatwoot:
		return archive.OpenChatwoot(own)
	case formatVCon:
		reader, err := c.VCon.reader()
		if err != nil {
			return nil, err
		}
		return vcon.OpenFiles(a.Path, reader, vcon.Options{Tenant: tenant, Inbox: a.Inbox, Region: a.Region})
	}
	return nil, fmt.Errorf("%q is no format of an archive; there are: %s", a.Format, strings.Join(slices.Sorted(maps.Keys(ArchiveFormats())), ", "))
}

// Import takes an archive in, beside a server that may be running: into the log and the blob store that are configured. How far it has come
// is kept in the data directory.
func Import(ctx context.Context, cfg Config, a Archive, o history.Options) (history.Progress, error) {
	source, err := cfg.openArchive(a)
	if err != nil {
		return history.Progress{}, err
	}
	if o.Cursors, o.Name, err = importState(cfg, a); err != nil {
		return history.Progress{}, err
	}
	host, done, err := openHost(ctx, cfg)
	if err != nil {
		return history.Progress{}, err
	}
	progress, err := history.Import(ctx, host, source, o)
	return progress, errors.Join(err, done(context.WithoutCancel(ctx)))
}

// ForgetImport makes the next import of an archive begin at its beginning.
func ForgetImport(ctx context.Context, cfg Config, a Archive) error {
	cursors, name, err := importState(cfg, a)
	if err != nil {
		return err
	}
	was, err := cursors.Cursor(ctx, name)
	if err != nil || was == "" {
		return err
	}
	return cursors.MoveCursor(ctx, name, was, "")
}

func importState(cfg Config, a Archive) (channel.Cursors, string, error) {
	path, err := filepath.Abs(a.Path)
	return history.NewFile(filepath.Join(cfg.Data, "imports.json")), a.Inbox + " " + path, err
}

// openHost opens what takes events in, for a command.
func openHost(ctx context.Context, cfg Config) (host channel.Host, done func(context.Context) error, err error) {
	a := &App{cfg: cfg, registry: prometheus.NewRegistry()}
	if a.keyring, err = event.LoadKeyring(filepath.Join(cfg.Data, "keyring.json")); err != nil {
		return nil, nil, fmt.Errorf("%w\nthe keyring comes into being when the server first starts: skein up", err)
	}
	if a.log, err = OpenLog(ctx, cfg.Log); err != nil {
		return nil, nil, fmt.Errorf("%w\nis a server running there? start one with: skein up", err)
	}
	for _, start := range []func(context.Context) error{a.watchRoom, a.openBlobs, a.openIntake} {
		if err := start(ctx); err != nil {
			return nil, nil, errors.Join(err, a.closeLog(ctx))
		}
	}
	return a.intake, func(ctx context.Context) error { return errors.Join(a.closeBlobs(ctx), a.closeLog(ctx)) }, nil
}
