package chat

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

// page adds the page to chat from, and what it consists of.
func (c *Channel) page(handle func(method, path string, e endpoint)) error {
	index, err := template.ParseFS(files, "page/index.html")
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	handle("GET", "/{$}", func(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
		var body bytes.Buffer
		if err := index.Execute(&body, wd); err != nil {
			c.log.Error("the page cannot be written", "error", err)
			return unavailable("the page cannot be written", retryAfter)
		}
		w.Header().Set("Content-Security-Policy", wd.policy())
		w.Header().Set("Referrer-Policy", "no-referrer")
		send(w, r, "text/html; charset=utf-8", body.Bytes())
		return nil
	})
	handle("GET", "", func(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
		http.Redirect(w, r, wd.ID+"/", http.StatusMovedPermanently)
		return nil
	})
	icon, err := files.ReadFile("page/icon.svg")
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	handle("GET", "/icon.svg", func(w http.ResponseWriter, r *http.Request, _ *widget) *problem {
		send(w, r, "image/svg+xml", icon)
		return nil
	})
	scripts := map[string][]byte{}
	for id, wd := range c.widgets {
		if scripts[id], err = wd.script(); err != nil {
			return err
		}
	}
	handle("GET", "/widget.js", func(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // sites that isolate themselves may load it, too
		send(w, r, "text/javascript; charset=utf-8", scripts[wd.ID])
		return nil
	})
	return nil
}

// script is the widget as one script, which leaves nothing behind in the page but window.skein.
func (w *widget) script() ([]byte, error) {
	style, err := files.ReadFile("page/panel.css")
	if err != nil {
		return nil, fmt.Errorf("read the widget: %w", err)
	}
	css, err := json.Marshal(string(style))
	if err != nil {
		return nil, fmt.Errorf("write the widget: %w", err)
	}
	config, err := json.Marshal(map[string]any{"name": w.Name, "maxFile": w.MaxFile})
	if err != nil {
		return nil, fmt.Errorf("write the widget: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "(() => {\n\"use strict\";\nconst config = %s;\nconst css = %s;\n", config, css)
	for _, name := range []string{"words.js", "client.js", "panel.js"} {
		part, err := files.ReadFile("page/" + name)
		if err != nil {
			return nil, fmt.Errorf("read the widget: %w", err)
		}
		b.Write(part)
	}
	b.WriteString("})();\n")
	return b.Bytes(), nil
}

// policy is the Content-Security-Policy of the page: it runs and loads nothing but its own files, and only the widget's
// sites may frame it.
func (w *widget) policy() string {
	ancestors := "'self' " + strings.Join(w.Origins, " ")
	if slices.Contains(w.Origins, AnyOrigin) {
		ancestors = "*"
	}
	return "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors " + strings.TrimSpace(ancestors)
}

// send answers with a file, or tells that the browser has it already.
func send(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) {
	sum := sha256.Sum256(body)
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
