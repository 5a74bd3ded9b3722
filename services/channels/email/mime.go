package email

import (
	"bytes"
	"strings"
)

// entity is the mail or one of its parts.
type entity struct {
	header      header
	body        []byte // not decoded
	defaultType string
	depth       int
	root        bool
}

// content is what an entity has to show.
type content struct {
	text, html string
}

// walk reads an entity: text is returned, everything else becomes an attachment.
func (p *parser) walk(e entity) content {
	stated := e.header.Get("Content-Type")
	mediaType, params := p.parameters(stated)
	if !strings.Contains(mediaType, "/") {
		if mediaType != "" && mediaType != "text" {
			p.note("unknown Content-Type " + quote(stated) + ": taken for " + e.defaultType)
		}
		mediaType = e.defaultType
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		if c, ok := p.multipart(e, mediaType, params); ok {
			return c
		}
		mediaType = "text/plain"
	}
	encoding := e.header.Get("Content-Transfer-Encoding")
	data := undo(encoding, e.body, p.note)
	if strings.HasPrefix(mediaType, "text/") && strings.EqualFold(strings.TrimSpace(encoding), "binary") { // as many say of text
		data = crlf(data)
	}
	disposition, dispositionParams := p.parameters(e.header.Get("Content-Disposition"))
	a := Attachment{
		Data: data, MediaType: cut(cleanLine(strings.ToValidUTF8(mediaType, "")), 255), Name: cut(first(dispositionParams["filename"], params["name"]), maxName),
		ContentID: cut(cleanID(strings.Trim(e.header.Get("Content-Id"), "<> \t")), maxName),
	}
	a.Inline = disposition == "inline" || disposition == "" && a.ContentID != ""

	switch mediaType {
	case "text/plain", "text/html":
		if disposition != "attachment" && (e.root || a.Name == "") {
			text, defect := toUTF8(data, params["charset"], p.htmlHints(mediaType, data)...)
			p.note(defect)
			if mediaType == "text/html" {
				if len(text) > maxHTML {
					p.note("HTML above 4 MiB: its text was taken from the first 4 MiB")
				}
				return content{text: htmlText(cut(text, maxHTML), maxText+1), html: text}
			}
			return content{text: cleanText(text)}
		}
	case "message/rfc822", "message/global":
		a.Name = first(a.Name, "message.eml")
		p.keepReturned(data)
	case "text/rfc822-headers", "message/global-headers":
		p.keepReturned(data)
	case "message/delivery-status", "message/global-delivery-status":
		p.deliveryStatus = data
	case "message/disposition-notification":
		p.mail.AutoReply = true
	}
	p.mail.Attachments = append(p.mail.Attachments, a)
	return content{}
}

// multipart reads the parts of a multipart. It is false where there is none, so that the body must be text.
func (p *parser) multipart(e entity, mediaType string, params map[string]string) (content, bool) {
	if e.depth >= maxDepth {
		p.note("parts nested deeper than " + itoa(maxDepth) + " levels: what is inside was kept as one attachment")
		p.mail.Attachments = append(p.mail.Attachments, Attachment{Data: e.body, MediaType: "application/octet-stream"})
		return content{}, true
	}
	boundary := params["boundary"]
	if boundary == "" {
		p.note("a multipart without a boundary: taken for text")
		return content{}, false
	}
	parts, closed := split(e.body, boundary, maxParts-p.parts+1)
	if len(parts) == 0 {
		p.note("a multipart without parts: taken for text")
		return content{}, false
	}
	if p.parts += len(parts); p.parts > maxParts {
		p.note("more than " + itoa(maxParts) + " parts: the rest is only in the original")
		parts = parts[:max(0, len(parts)-(p.parts-maxParts))]
		p.parts = maxParts
	} else if !closed {
		p.note("a multipart that does not end: its last part goes to the end")
	}
	child := entity{defaultType: "text/plain", depth: e.depth + 1}
	if mediaType == "multipart/digest" {
		child.defaultType = "message/rfc822"
	}
	var all content
	for _, part := range parts {
		child.header, child.body = readPart(part, p.note)
		c := p.walk(child)
		if mediaType == "multipart/alternative" {
			// The same content several times: the plainest text, as its author wrote it, and the HTML.
			if strings.TrimSpace(all.text) == "" || all.html != "" && c.html == "" && strings.TrimSpace(c.text) != "" {
				all.text = c.text
			}
			all.html = first(c.html, all.html)
			continue
		}
		all.text = joinLines(all.text, c.text)
		all.html = joinLines(all.html, c.html)
	}
	return all, true
}

// split divides a multipart's body at its boundary lines (RFC 2046, section 5.1.1), in one pass. It tells whether the
// closing boundary was there. What stands before the first boundary and behind the last is for old readers; it goes.
func split(body []byte, boundary string, most int) (parts [][]byte, closed bool) {
	delimiter := []byte("--" + boundary)
	start := -1 // of the part that is being read
	for at := 0; at < len(body) && len(parts) < most; {
		i := bytes.Index(body[at:], delimiter)
		if i < 0 {
			break
		}
		begin, end := at+i, at+i+len(delimiter)
		at = end
		if begin > 0 && body[begin-1] != '\n' {
			continue
		}
		line := body[end:]
		if eol := bytes.IndexByte(line, '\n'); eol >= 0 {
			line = line[:eol]
		}
		closing := bytes.HasPrefix(line, []byte("--")) && len(bytes.TrimSpace(line[2:])) == 0
		if !closing && len(bytes.TrimSpace(line)) > 0 {
			continue // another boundary that begins in the same way
		}
		if start >= 0 {
			part := bytes.TrimSuffix(body[start:max(start, begin-1)], []byte{'\r'})
			parts = append(parts, part)
		}
		if closing {
			return parts, true
		}
		start = min(len(body), end+len(line)+1)
		at = start
	}
	if start >= 0 && len(parts) < most {
		parts = append(parts, body[start:])
	}
	return parts, false
}

// readPart divides a part into header and body. A part may have no fields; then it begins with an empty line.
func readPart(part []byte, note func(string)) (header, []byte) {
	return readHeader(part, func(defect string) { note("in a part: " + defect) })
}

// htmlHints are the mail's charsets, and before them the one that an HTML text states itself.
func (p *parser) htmlHints(mediaType string, data []byte) []string {
	if mediaType != "text/html" {
		return p.hints
	}
	return append(statedCharsets(data[:min(len(data), 2048)]), p.hints...)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func joinLines(a, b string) string {
	if strings.TrimSpace(a) == "" {
		return b
	}
	if strings.TrimSpace(b) == "" {
		return a
	}
	return strings.TrimRight(a, "\n") + "\n\n" + strings.TrimLeft(b, "\n")
}
