package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
)

// Download answers with a file that next gives piece by piece, until io.EOF. What fails before the first piece is an answer like any other; what
// fails later breaks the connection off, so that the browser keeps no half of a file as if it were one.
func (c *Call) Download(name, mediaType string, next func() ([]byte, error)) error {
	piece, err := next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.W.Header().Set("Content-Type", mediaType)
	c.W.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	for err == nil {
		if _, err := c.W.Write(piece); err != nil {
			return nil //nolint:nilerr // the person is gone
		}
		piece, err = next()
	}
	if !errors.Is(err, io.EOF) {
		c.site.logger.WarnContext(c.ctx, "a download of the console broke off", "path", c.R.URL.Path, "err", err)
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut an answer
	}
	return nil
}
