package email_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/skein-cx/skein/services/channels/email"
)

// parse reads a mail written with bare line feeds.
func parse(tb testing.TB, lines ...string) *email.Mail {
	tb.Helper()
	m := email.Parse([]byte(strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\r\n")))
	checkUTF8(tb, m)
	return m
}

// checkUTF8 checks every string of a mail.
func checkUTF8(tb testing.TB, m *email.Mail) {
	tb.Helper()
	all := slices.Concat(m.References, m.Defects, m.Reported, []string{
		m.MessageID, m.InReplyTo, m.Subject, m.Text, m.Quoted, m.HTML, m.Language, m.Thread(), m.NativeID(),
		m.Bounce.GetRecipient(), m.Bounce.GetAction(), m.Bounce.GetStatus(), m.Bounce.GetDiagnostic(), m.Bounce.GetMessageId(),
	})
	for _, list := range [][]email.Address{m.From, m.To, m.Cc, m.Bcc} {
		for _, a := range list {
			all = append(all, a.Name, a.Mailbox)
		}
	}
	for _, a := range m.Attachments {
		all = append(all, a.Name, a.MediaType, a.ContentID)
	}
	for _, s := range all {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			tb.Errorf("a string that is not clean UTF-8 leaves: %q", s)
		}
	}
}

func hasDefect(m *email.Mail, part string) bool {
	return slices.ContainsFunc(m.Defects, func(d string) bool { return strings.Contains(d, part) })
}

func TestDatesAreReadAsSendersWriteThem(t *testing.T) {
	for date, want := range map[string]string{
		"Mon, 2 Mar 2026 09:15:07 +0100":        "2026-03-02T08:15:07Z",
		"2 Mar 2026 09:15 GMT":                  "2026-03-02T09:15:00Z",
		"Mon, 02 Mar 26 09:15:07 EST":           "2026-03-02T14:15:07Z",
		"Thu, 22 Aug 102 10:00:00 -0700 (PDT)":  "2002-08-22T17:00:00Z",
		"Fri, 31 Dec 99 23:59:60 UT":            "2000-01-01T00:00:00Z",
		"Mon Mar  2 09:15:07 2026":              "2026-03-02T09:15:07Z",
		"Mon Mar  2 09:15:07 CET 2026":          "2026-03-02T08:15:07Z",
		"2026-03-02T09:15:07+08:00":             "2026-03-02T01:15:07Z",
		"2026-03-02 09:15:07 +0530":             "2026-03-02T03:45:07Z",
		"2002/09/14 Sat 02:29:32 CDT":           "2002-09-14T07:29:32Z",
		"Monday, 02-Mar-26 09:15:07 GMT":        "2026-03-02T09:15:07Z",
		"March 2, 2026 9:15 PM":                 "2026-03-02T21:15:00Z",
		"Mon, 2 Mar 2026 09:15:07 +0900 (JST)":  "2026-03-02T00:15:07Z",
		"Mon, 2 (second) Mar 2026 09:15:07 Z":   "2026-03-02T09:15:07Z",
		"Mon, 2 Mar 2026 09:15:07 A":            "2026-03-02T09:15:07Z", // a military zone says nothing (RFC 5322)
		"Mon, 2 Mar 1970 00:00:00 +0000":        "1970-03-02T00:00:00Z",
		"Mon, 2 Mar 2026 09.15":                 "",
		"yesterday":                             "",
		"Mon, 31 Jun 2026 09:15:07 +0100":       "",
		"Mon, 2 Mar 2026 25:00:00 +0100":        "",
		"08-09-2026 09:15":                      "",
		"99999999999999999999 Mar 2026 9:15":    "",
		strings.Repeat("Mon, 2 Mar 2026 ", 999): "",
	} {
		m := parse(t, "From: jo@example.com", "Date: "+date, "", "x")
		got := ""
		if !m.Date.IsZero() {
			got = m.Date.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", date, got, want)
		}
		if hasDefect(m, "Date") != (want == "") {
			t.Errorf("%q: defects %q", date, m.Defects)
		}
	}
}

func TestAddressesAreReadAsSendersWriteThem(t *testing.T) {
	for field, want := range map[string]string{
		`jo@example.com`:                                          `|jo@example.com`,
		`Jo Park <jo@example.com>`:                                `Jo Park|jo@example.com`,
		`"Park, Jo" <jo@example.com>, an@example.com`:             `Park, Jo|jo@example.com; |an@example.com`,
		`jo@example.com (Jo Park)`:                                `Jo Park|jo@example.com`,
		`"Jo \"the\" Park" <jo@example.com>`:                      `Jo "the" Park|jo@example.com`,
		`Jo Park jo@example.com`:                                  `|jo@example.com`,
		`<jo@example.com> <an@example.com>`:                       `<jo@example.com>|an@example.com`,
		`Team: jo@example.com, An <an@example.com>;, x@y.example`: `|jo@example.com; An|an@example.com; |x@y.example`,
		`Undisclosed recipients:;`:                                ``,
		`<@relay.example,@b.example:jo@example.com>`:              `|jo@example.com`,
		`"jo park"@example.com`:                                   `|"jo park"@example.com`,
		`mailto:jo@example.com`:                                   `|jo@example.com`,
		`'jo@example.com'`:                                        `|jo@example.com`,
		`jo@[192.0.2.1]`:                                          `|jo@[192.0.2.1]`,
		`"unclosed <jo@example.com>, an@example.com`:              `unclosed|jo@example.com; |an@example.com`,
		`jo@example.com; an@example.com`:                          `|jo@example.com; |an@example.com`,
		`=?utf-8?B?5byg5Lyf?= <zhang@example.cn>`:                 `张伟|zhang@example.cn`,
		`"=?gb2312?B?1cXOsA==?=" <zhang@example.cn>`:              `张伟|zhang@example.cn`,
		"\"\xd5\xc5\xce\xb0\" <zhang@example.cn>":                 `张伟|zhang@example.cn`,
		`张伟 <伟@例子.广告>`:                                            `张伟|伟@例子.广告`,
		`nobody`:                                                  ``,
		`<>`:                                                      ``,
		`@example.com, jo@`:                                       ``,
		`((((((jo@example.com`:                                    ``,
	} {
		var got []string
		for _, a := range parse(t, "To: "+field, "", "x").To {
			got = append(got, a.Name+"|"+a.Mailbox)
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s gives %q, want %q", field, strings.Join(got, "; "), want)
		}
	}
}

func TestThreadAndNativeID(t *testing.T) {
	long := strings.Repeat("x", 2000) + "@example.com"
	for _, tt := range []struct{ header, thread, native string }{
		{"Message-ID: <1@a>", "1@a", "1@a"},
		{"Message-ID: 1@a", "1@a", "1@a"},
		{"Message-ID: < 1@\n a >", "1@a", "1@a"},
		{"Message-ID: <no-at>", "no-at", "no-at"},
		{"Message-ID: <3@a>\nIn-Reply-To: <2@a>", "2@a", "3@a"},
		{"Message-ID: <3@a>\nIn-Reply-To: <2@a>\nReferences: <0@a>\n <1@a>\n <2@a>", "0@a", "3@a"},
		{"Message-ID: <3@a>\nReferences: Your message of \"Fri\" <0@a>", "0@a", "3@a"},
		{"Message-ID: <3@a>\nIn-Reply-To: Your message of Friday", "3@a", "3@a"},
		{"Message-ID: <3@a>\nIn-Reply-To: Message from Jo <jo@example.com> of Friday <2@a>", "2@a", "3@a"},
		{"Message-ID: <3@a>\nReferences: junk\nIn-Reply-To: <2@a>", "2@a", "3@a"},
		{"Message-ID: <" + long + ">", "sha256:4ad7e3a9a56dd73094bc27d03ad3e28b9c5fc5a2b75bd40e4cd4f6ac1bd3cf96", ""},
		{"Message-ID: <>", "hash:", "hash:"},
		{"Subject: x", "hash:", "hash:"},
	} {
		m := parse(t, tt.header, "", "x")
		if tt.native == "" {
			tt.thread, tt.native = m.Thread(), m.Thread()
			if len(m.Thread()) > 900 || !strings.HasPrefix(m.Thread(), "sha256:") {
				t.Errorf("a long id gives %q", m.Thread())
			}
		}
		if !strings.HasPrefix(m.Thread(), tt.thread) || !strings.HasPrefix(m.NativeID(), tt.native) {
			t.Errorf("%q: thread %q, native id %q", tt.header, m.Thread(), m.NativeID())
		}
	}
}

func TestTheFingerprintIsTheMailsWhateverCarriesIt(t *testing.T) {
	base := "From: Jo <jo@example.com>\nDate: Mon, 2 Mar 2026 09:15:07 +0100\nMessage-ID: <1@a>\nSubject: s\n\nHello\n\nJo\n"
	same := map[string]string{
		"with CRLF":           strings.ReplaceAll(base, "\n", "\r\n"),
		"with a trace":        "Return-Path: <jo@example.com>\nReceived: from a by b\n" + base,
		"with an mbox line":   "From jo@example.com Mon Mar  2 09:15:07 2026\n" + base,
		"with lines added":    base + "\r\n\r\n",
		"without a last line": strings.TrimRight(base, "\n"),
		"folded":              strings.Replace(base, "Jo <jo", "Jo\n\t<jo", 1),
	}
	want := email.Parse([]byte(base))
	for name, raw := range same {
		if got := email.Parse([]byte(raw)); got.Fingerprint != want.Fingerprint || got.NativeID() != want.NativeID() {
			t.Errorf("%s it is another mail", name)
		}
	}
	for name, raw := range map[string]string{
		"sender": strings.Replace(base, "jo@", "ja@", 1),
		"date":   strings.Replace(base, "09:15", "09:16", 1),
		"body":   strings.Replace(base, "Hello", "Hallo", 1),
	} {
		if email.Parse([]byte(raw)).Fingerprint == want.Fingerprint {
			t.Errorf("with another %s it is the same mail, although its Message-ID is forged", name)
		}
	}
}

func TestTextIsDecoded(t *testing.T) {
	for name, tt := range map[string]struct{ header, body, want string }{
		"quoted-printable with wrong codes": {"Content-Transfer-Encoding: quoted-printable", "a=ZZb =3D =\nc=", "a=ZZb = c"},
		"quoted-printable in lower case":    {"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: QUOTED-PRINTABLE", "caf=c3=a9", "café"},
		"base64 with a footer":              {"Content-Transfer-Encoding: base64", "SGVsbG8=\n____\nlist footer!", "Hello"},
		"base64 joined":                     {"Content-Transfer-Encoding: base64", "SGVs\nbG8=\nSGk=", "HelloHi"},
		"UTF-8 said to be ASCII":            {"Content-Type: text/plain; charset=us-ascii", "你好", "你好"},
		"UTF-8 said to be Latin":            {"Content-Type: text/plain; charset=iso-8859-1", "你好", "你好"},
		"Chinese without charset":           {"Subject: x", "\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7", "你好，世界"},
		"German without charset":            {"Subject: x", "Gr\xf6\xdfe", "Größe"},
		"windows quotes without charset":    {"Subject: x", "\x93x\x94", "“x”"},
		"Japanese":                          {"Content-Type: text/plain; charset=iso-2022-jp", "\x1b$B$3$s\x1b(B", "こん"},
		"Korean":                            {"Content-Type: text/plain; charset=ks_c_5601-1987", "\xbe\xc8\xb3\xe7", "안녕"},
		"UTF-8 with a wrong byte":           {"Content-Type: text/plain; charset=utf-8", "你好，世界。\xff", "你好，世界。\ufffd"},
		"Latin said to be UTF-8":            {"Content-Type: text/plain; charset=utf-8", "caf\xe9", "café"},
		"a charset with blanks":             {"Content-Type: text/plain; charset = \" gbk \" ", "\xc4\xe3", "你"},
		"a byte order mark":                 {"Content-Type: text/plain; charset=utf-8", "\ufeffx", "x"},
		"control characters":                {"Subject: x", "a\x00b\x07c\td\re", "abc\td\ne"},
		"an unknown type":                   {"Content-Type: text", "x", "x"},
		"a broken type":                     {"Content-Type: ;;;=\"", "x", "x"},
	} {
		m := parse(t, "From: jo@example.com", tt.header, "", tt.body)
		if got := strings.ReplaceAll(m.Text, "list footer", "listfooter"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q (%q)", name, m.Text, tt.want, m.Defects)
		}
	}
}

func TestSubjectsAreDecoded(t *testing.T) {
	for subject, want := range map[string]string{
		"=?utf-8?q?caf=C3=A9_au_lait?=":         "café au lait",
		"=?UTF-8?B?5L2g?= =?UTF-8?B?5aW9?=":     "你好",
		"=?gb2312?B?xOM=?= x =?gb2312?B?usM=?=": "你 x 好",
		"=?gb2312?B?xA==?=\n =?gb2312?B?47rD?=": "你好", // cut inside a character
		"=?utf-8*en?Q?a?= b":                    "a b",
		"=?utf-8?Q?with blanks?=":               "with blanks",
		"=?utf-8?Q?unclosed":                    "=?utf-8?Q?unclosed",
		"Re:\tmany   blanks\n and lines":        "Re: many blanks and lines",
		"\xc4\xe3\xba\xc3":                      "你好",
		"=?x-unknown?Q?caf=E9?=":                "café",
		"=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte("a\x00\r\nBcc: x")) + "?=": "a Bcc: x",
	} {
		if m := parse(t, "Subject: "+subject, "", "x"); m.Subject != want {
			t.Errorf("%q is %q, want %q", subject, m.Subject, want)
		}
	}
}

func TestFileNamesAreDecoded(t *testing.T) {
	for params, want := range map[string]string{ //nolint:gosec // no credentials: file names
		`filename="a b.txt"`:                               "a b.txt",
		`filename=a b.txt`:                                 "a b.txt",
		`filename="C:\dir\a.txt"`:                          `C:\dir\a.txt`,
		`filename="a;b\"c.txt"; size=1`:                    `a;b"c.txt`,
		`filename*=utf-8''%E4%BD%A0.txt`:                   "你.txt",
		`filename*=gb2312'zh'%C4%E3.txt; filename="?.txt"`: "你.txt",
		`filename*0="part one "; filename*1="and two.txt"`: "part one and two.txt",
		`filename="=?utf-8?B?5L2g?=.txt"`:                  "你.txt",
		"filename=\"\xc4\xe3\xba\xc3.txt\"":                "你好.txt",
		`FileName=x.txt; filename=y.txt`:                   "x.txt",
		`filename="../../etc/passwd"`:                      "../../etc/passwd", // as stated: whoever uses it as a path is wrong
		`filename="unclosed`:                               "unclosed",
		`filename*=utf-8''%ZZ%E4`:                          "%ZZ%E4",
	} {
		m := parse(t, "Content-Type: application/pdf", "Content-Disposition: attachment; "+params, "", "x")
		if len(m.Attachments) != 1 || m.Attachments[0].Name != want {
			t.Errorf("%s gives %+v, want %q", params, m.Attachments, want)
		}
	}
}

func TestWhatIsShownAndWhatIsAttached(t *testing.T) {
	part := func(header, body string) string { return "--b\n" + header + "\n\n" + body + "\n" }
	for name, tt := range map[string]struct {
		kind, parts, text, html string
		attached                int
	}{
		"text and its HTML":      {"alternative", part("Content-Type: text/plain", "plain") + part("Content-Type: text/html", "<p>rich</p>"), "plain", "<p>rich</p>", 0},
		"HTML before its text":   {"alternative", part("Content-Type: text/html", "<p>rich</p>") + part("Content-Type: text/plain", "plain"), "plain", "<p>rich</p>", 0},
		"an empty text and HTML": {"alternative", part("Content-Type: text/plain", " ") + part("Content-Type: text/html", "<p>rich</p>"), "rich", "<p>rich</p>", 0},
		"two texts":              {"mixed", part("Content-Type: text/plain", "one") + part("", "two"), "one\n\ntwo", "", 0},
		"text as a file":         {"mixed", part("Content-Type: text/plain", "one") + part("Content-Type: text/plain; name=a.txt", "two"), "one", "", 1},
		"text attached":          {"mixed", part("Content-Type: text/plain", "one") + part("Content-Disposition: attachment", "two"), "one", "", 1},
		"a mail inside":          {"mixed", part("Content-Type: message/rfc822", "From: a@b\n\ninner"), "", "", 1},
		"a digest":               {"digest", part("", "From: a@b\n\ninner") + part("", "From: a@b\n\ninner"), "", "", 2},
		"a calendar":             {"alternative", part("Content-Type: text/plain", "one") + part("Content-Type: text/calendar", "two"), "one", "", 1},
		"a boundary's double":    {"mixed", part("Content-Type: text/plain", "one\n--bb\n--b c\n-b"), "one\n--bb\n--b c\n-b", "", 0},
		"parts without headers":  {"mixed", "--b\nno header here\n", "no header here", "", 0},
	} {
		m := parse(t, "From: jo@example.com", "Content-Type: multipart/"+tt.kind+"; boundary=b", "", "preamble", tt.parts+"--b--", "epilogue")
		if m.Text != tt.text || strings.TrimSpace(m.HTML) != tt.html || len(m.Attachments) != tt.attached {
			t.Errorf("%s: text %q, HTML %q, attachments %d", name, m.Text, m.HTML, len(m.Attachments))
		}
	}
}

func TestTextOfHTML(t *testing.T) {
	for html, want := range map[string]string{
		"<p>one</p><p>two<br>three</p>":                                         "one\n\ntwo\nthree",
		"a&nbsp;&lt;b&gt; &amp; c":                                              "a <b> & c",
		"<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>":       "1 2\n3",
		"<ul><li>a</li><li>b</li></ul>":                                         "- a\n- b",
		"<pre>a\n  b</pre>c":                                                    "a\n  b\nc",
		"<style>p{}</style><script>x()</script><title>t</title>shown":           "shown",
		"<blockquote>no mail</blockquote>":                                      "no mail",
		"new<blockquote type=cite>old<br>old too</blockquote>":                  "new",
		"unclosed <b>bold <i":                                                   "unclosed bold",
		"<!-- comment -->x<!-- open":                                            "x",
		"&#x1F600;&#0;&bogus;":                                                  "😀\ufffd&bogus;",
		"<img alt='a cat'> <img>":                                               "a cat",
		strings.Repeat("<blockquote type=cite>", 100) + "deep":                  "",
		strings.Repeat("<div>", 10_000) + "deep" + strings.Repeat("</b>", 1000): "deep",
	} {
		m := parse(t, "From: jo@example.com", "Content-Type: text/html; charset=utf-8", "", html)
		if m.Text != want {
			t.Errorf("%.80s gives %q, want %q", html, m.Text, want)
		}
	}
}

func TestLanguageIsTakenWhereOneIsStated(t *testing.T) {
	for field, want := range map[string]string{
		"en": "en", "zh-hans-cn": "zh-Hans-CN", "de-DE": "de-DE", "en, fr": "", "x-private": "", "und": "", "klingonese": "", "???": "",
	} {
		if m := parse(t, "Content-Language: "+field, "", "x"); m.Language != want {
			t.Errorf("%q is %q, want %q", field, m.Language, want)
		}
	}
}

func TestClassification(t *testing.T) {
	for header, want := range map[string]string{
		"Auto-Submitted: no":                             "",
		"Auto-Submitted: auto-replied; owner=jo":         "auto",
		"Auto-Submitted: auto-generated":                 "auto",
		"X-Autoreply: yes":                               "auto",
		"X-Loop: jo@example.com":                         "auto",
		"X-Auto-Response-Suppress: OOF":                  "auto",
		"Precedence: bulk":                               "bulk",
		"Precedence: List":                               "bulk",
		"Precedence: junk\nAuto-Submitted: auto-replied": "auto",
		"List-Id: <x.example.com>\nX-Loop: x":            "bulk",
		"Precedence: first-class":                        "",
	} {
		m, got := parse(t, header, "", "x"), ""
		if m.AutoReply {
			got = "auto"
		}
		if m.Bulk {
			got += "bulk"
		}
		if got != want {
			t.Errorf("%q is %q, want %q", header, got, want)
		}
	}
}

// Mails that nobody should send. Each gives a mail that says what is wrong.
func TestHostileMails(t *testing.T) {
	nested := func(levels int) string {
		var b strings.Builder
		for i := range levels {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"b%d\"\n\n--b%d\n", i, i)
		}
		return b.String() + "\nbottom\n"
	}
	for name, tt := range map[string]struct {
		raw, defect string
		check       func(*email.Mail) bool
	}{
		"nothing":                  {"", "no usable sender", func(m *email.Mail) bool { return m.Text == "" && strings.HasPrefix(m.Thread(), "hash:") }},
		"no headers":               {"Dear all,\nNote: this is text.\n", "no header", func(m *email.Mail) bool { return m.Text == "Dear all,\nNote: this is text." }},
		"only headers":             {"From: jo@example.com\nSubject: x", "no Message-ID", func(m *email.Mail) bool { return m.Subject == "x" }},
		"a header that never ends": {"From: jo@example.com\nSubject: x\nand now the text\n\nmore", "no empty line", func(m *email.Mail) bool { return strings.HasPrefix(m.Text, "and now") }},
		"a junk line in the header": {"From: jo@example.com\n\x80\x81 junk\nSubject: x\n\ntext", "no field", func(m *email.Mail) bool {
			return m.Subject == "x" && m.Text == "text"
		}},
		"no sender":            {"To: jo@example.com\n\nx", "no usable sender", func(m *email.Mail) bool { return len(m.To) == 1 }},
		"1,000 nested parts":   {nested(1000), "nested deeper", func(m *email.Mail) bool { return len(m.Attachments) == 1 }},
		"26 nested open parts": {nested(26), "nested deeper", func(m *email.Mail) bool { return len(m.Attachments) == 1 }},
		"10,000 parts":         {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: image/png\n\nx\n", 10_000), "more than 500 parts", func(m *email.Mail) bool { return len(m.Attachments) == 500 }},
		"a line of 10 MB":      {"From: jo@example.com\n\n" + strings.Repeat("x", 10<<20), "1 MiB", func(m *email.Mail) bool { return len(m.Text) == 1<<20 }},
		"a subject of 10 MB":   {"Subject: " + strings.Repeat("x", 10<<20) + "\n\ny", "too long", func(m *email.Mail) bool { return len(m.Subject) <= 2000 }},
		"HTML of 10 MB":        {"Content-Type: text/html\n\n" + strings.Repeat("<p>x</p>", 10<<17), "HTML above", func(m *email.Mail) bool { return m.HTML == "" && len(m.Text) > 1<<20-9 }},
		"quoted-printable of 10 MB in a line": {"Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=41", 10<<18), "1 MiB", func(m *email.Mail) bool {
			return m.Text == strings.Repeat("A", 1<<20)
		}},
		"NUL and wrong UTF-8":       {"Subject: a\x00\xff\n\n\x00\xc3\x28\xff", "8-bit", func(m *email.Mail) bool { return m.Subject == "aÿ" }},
		"no closing boundary":       {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx", "does not end", func(m *email.Mail) bool { return m.Text == "x" }},
		"no boundary":               {"Content-Type: multipart/mixed\n\nx", "without a boundary", func(m *email.Mail) bool { return m.Text == "x" }},
		"no parts":                  {"Content-Type: multipart/mixed; boundary=b\n\nx", "without parts", func(m *email.Mail) bool { return m.Text == "x" }},
		"an unknown charset":        {"Content-Type: text/plain; charset=klingon\n\nx", "unknown charset", func(m *email.Mail) bool { return m.Text == "x" }},
		"an unknown encoding":       {"Content-Transfer-Encoding: rot13\n\nx", "unknown transfer encoding", func(m *email.Mail) bool { return m.Text == "x" }},
		"100,000 header fields":     {strings.Repeat("X-A: b\n", 100_000) + "\nx", "no Date", func(m *email.Mail) bool { return m.Text == "x" }},
		"100,000 references":        {"References: " + strings.Repeat("<1@a>\n ", 100_000) + "\n\nx", "no Date", func(m *email.Mail) bool { return len(m.References) == 200 }},
		"3,000 recipients":          {"To: " + strings.Repeat("a@b.example,\n ", 3000) + "\n\nx", "more than 2000 addresses", func(m *email.Mail) bool { return len(m.To) == 2000 }},
		"100,000 broken recipients": {"To: " + strings.Repeat("x,", 100_000) + "\n\nx", "no address", func(m *email.Mail) bool { return len(m.To) == 0 && len(m.Defects) < 60 }},
		"open brackets":             {"To: " + strings.Repeat("<(\"", 100_000) + "\n\nx", "no address", func(m *email.Mail) bool { return len(m.To) == 0 }},
		"encoded words in a row":    {"Subject: " + strings.Repeat("=?utf-8?B?QQ==?= ", 50_000) + "\n\nx", "no Date", func(m *email.Mail) bool { return strings.HasPrefix(m.Subject, "AAAA") }},
		"20,000 attributions":       {"From: jo@example.com\n\n" + strings.Repeat("To: x wrote:\n", 20_000), "no Date", func(m *email.Mail) bool { return m.Quoted == "" }},
		"a report that says nothing": {"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n\n\njunk\n--b--", "names no recipient", func(m *email.Mail) bool {
			return m.Bounce != nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, tt.raw)
			if !hasDefect(m, tt.defect) || !tt.check(m) {
				text := m.Text[:min(len(m.Text), 80)]
				t.Errorf("defects %q, subject %.80q, text %q, %d attachments", m.Defects, m.Subject, text, len(m.Attachments))
			}
			if n := len(m.Submission(support(t)).GetParties()); n > 2000 {
				t.Errorf("%d parties", n)
			}
		})
	}
}

func TestAnAttachmentKeepsItsBytes(t *testing.T) {
	data := bytes.Repeat([]byte{0, 1, 0xff, '\r', '\n', '='}, 1000)
	m := parse(t, "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: application/x; name=a", "Content-Transfer-Encoding: base64", "",
		base64.StdEncoding.EncodeToString(data), "--b", "Content-Type: application/x", "", "raw\n\nbytes", "--b--")
	if len(m.Attachments) != 2 || !bytes.Equal(m.Attachments[0].Data, data) || string(m.Attachments[1].Data) != "raw\r\n\r\nbytes" {
		t.Errorf("attachments %+v", m.Attachments)
	}
}
