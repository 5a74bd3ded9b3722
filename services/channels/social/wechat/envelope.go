package wechat

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// Envelope gives the encrypted text of a body: of an XML document's or a JSON object's field Encrypt. It is empty where there is none.
func Envelope(body []byte) (encrypted string, err error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '{' {
		var e struct{ Encrypt string }
		if err := json.Unmarshal(trimmed, &e); err != nil {
			return "", fmt.Errorf("wechat: the body is no JSON object: %w", err)
		}
		return e.Encrypt, nil
	}
	var e struct {
		Encrypt string `xml:"Encrypt"`
	}
	if err := DecodeXML(body, &e); err != nil {
		return "", err
	}
	return e.Encrypt, nil
}

// maxDepth is how deep an XML document may be. The platforms' are four levels deep.
const maxDepth = 32

// DecodeXML reads an XML document into v by encoding/xml. It refuses document type declarations, and with them all entities of
// a document's own; documents that are deeper than any of the platforms'; and a second document behind the first.
func DecodeXML(body []byte, v any) error {
	tokens := &checkedTokens{from: xml.NewDecoder(bytes.NewReader(body))}
	err := xml.NewTokenDecoder(tokens).Decode(v)
	for tokens.err == nil && !tokens.ended { // what stands behind the document
		_, _ = tokens.Token() // it keeps its error
	}
	switch {
	case tokens.err != nil:
		return tokens.err
	case err != nil:
		return fmt.Errorf("wechat: the body is no XML document: %w", err)
	}
	return nil
}

// checkedTokens is an xml.TokenReader that refuses what no platform writes.
type checkedTokens struct {
	from  *xml.Decoder
	open  []xml.Name
	roots int
	err   error // why the body was refused
	ended bool
}

// Token implements xml.TokenReader.
func (c *checkedTokens) Token() (xml.Token, error) {
	if c.err != nil {
		return nil, c.err
	}
	token, err := c.from.RawToken()
	switch {
	case errors.Is(err, io.EOF) && len(c.open) == 0:
		c.ended = true
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		c.err = c.unbalanced("unexpected EOF")
	case err != nil:
		c.err = fmt.Errorf("wechat: the body is no XML: %w", err)
	default:
		c.err = c.check(token)
	}
	return token, c.err
}

func (c *checkedTokens) check(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return errors.New("wechat: the XML has a document type declaration")
	case xml.StartElement:
		if len(c.open) == 0 {
			c.roots++
		}
		if c.open = append(c.open, t.Name); len(c.open) > maxDepth || c.roots > 1 {
			return errors.New("wechat: the XML is too deep, or is several documents")
		}
	case xml.EndElement:
		last := len(c.open) - 1
		switch {
		case last < 0:
			return c.unbalanced("unexpected end element </" + t.Name.Local + ">")
		case c.open[last] != t.Name:
			return c.unbalanced("element <" + c.open[last].Local + "> closed by </" + t.Name.Local + ">")
		}
		c.open = c.open[:last]
	case xml.CharData:
		if len(c.open) == 0 && len(bytes.TrimSpace(t)) > 0 {
			return errors.New("wechat: there is text outside of the XML document")
		}
	}
	return nil
}

// unbalanced is the error of encoding/xml, which does not see the lines.
func (c *checkedTokens) unbalanced(msg string) error {
	line, _ := c.from.InputPos()
	return fmt.Errorf("wechat: the body is no XML document: %w", &xml.SyntaxError{Msg: msg, Line: line})
}

// Seal makes the body of a delivery as the platform does it in safe mode, and its signature: for answers and for tests.
func (c *Crypto) Seal(message []byte, token, timestamp, nonce string) (body []byte, signature string, err error) {
	encrypted, err := c.Encrypt(message)
	if err != nil {
		return nil, "", err
	}
	body = []byte("<xml><ToUserName><![CDATA[" + c.receiver + "]]></ToUserName><Encrypt><![CDATA[" + encrypted + "]]></Encrypt></xml>")
	return body, Signature(token, timestamp, nonce, encrypted), nil
}

// SealedAuthentic is the Authentic of an Endpoint whose deliveries are encrypted: the query's msg_signature is that of the
// token, the timestamp, the nonce and the encrypted text.
func SealedAuthentic(token string, r *http.Request, body []byte) error {
	encrypted, err := Envelope(body)
	if err != nil {
		return fmt.Errorf("%w: %w", webhook.ErrNotAuthentic, err)
	}
	q := r.URL.Query()
	if !Signed(q.Get("msg_signature"), token, q.Get("timestamp"), q.Get("nonce"), encrypted) {
		return fmt.Errorf("wechat: the msg_signature is missing or wrong: %w", webhook.ErrNotAuthentic)
	}
	return nil
}

// Unwrap is the Unwrap of an Endpoint whose deliveries are encrypted, after SealedAuthentic. A message for another receiver is not authentic. One that
// cannot be decrypted is an error of another kind, so that it is kept: the key may be mended.
func (c *Crypto) Unwrap(body []byte) ([]byte, error) {
	encrypted, err := Envelope(body)
	if err != nil {
		return nil, err
	}
	message, err := c.Decrypt(encrypted)
	if errors.Is(err, ErrForeign) {
		return nil, fmt.Errorf("%w: %w", webhook.ErrNotAuthentic, err)
	}
	return message, err
}

// Handshake answers the GET by which the platforms find out whether an endpoint is the company's. An echostr that is encrypted comes with
// msg_signature (WeCom's always); the crypto may be nil where none is.
func Handshake(token string, c *Crypto) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		echo := q.Get("echostr")
		var ok bool
		switch signature := q.Get("msg_signature"); {
		case signature != "" && c != nil:
			if ok = Signed(signature, token, q.Get("timestamp"), q.Get("nonce"), echo); ok {
				message, err := c.Decrypt(echo)
				echo, ok = string(message), err == nil
			}
		default:
			ok = Signed(q.Get("signature"), token, q.Get("timestamp"), q.Get("nonce"))
		}
		if !ok {
			http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, echo) //nolint:gosec // it is signed, and plain text
	}
}
