package bounce

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"
)

// Bounds of a mail: more is no report.
const (
	maxParts = 64
	maxDepth = 6
	maxLines = 2000
)

// mail is a mail taken apart: its own header and all its leaves in order.
type mail struct {
	header header
	leaves []leaf
}

// leaf is one part that has no parts, its body decoded.
type leaf struct {
	kind   string
	header header
	body   string
}

// header holds the fields of a header by lower-case name, unfolded, in order.
type header map[string][]string

func (h header) get(name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// open takes a mail apart as far as it can be read.
func open(raw []byte) *mail {
	if bytes.HasPrefix(raw, []byte("From ")) { // as mailboxes begin their mails
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	h, body := split(raw)
	m := &mail{header: h}
	m.walk(h, body, 0)
	return m
}

// split parts the header from the body. Lines that are no fields are skipped:
// many a gateway writes some.
func split(raw []byte) (header, []byte) {
	h := header{}
	last := ""
	for range maxLines {
		line, rest, more := bytes.Cut(raw, []byte("\n"))
		text := strings.TrimRight(string(line), "\r")
		switch {
		case text == "":
			return h, rest
		case text[0] == ' ' || text[0] == '\t':
			if v := h[last]; len(v) > 0 {
				v[len(v)-1] += " " + strings.TrimSpace(text)
			}
		default:
			if name, value, ok := strings.Cut(text, ":"); ok && !strings.ContainsAny(name, " \t") {
				last = strings.ToLower(name)
				h[last] = append(h[last], strings.TrimSpace(value))
			}
		}
		if raw = rest; !more {
			return h, nil
		}
	}
	return h, raw
}

func (m *mail) walk(h header, body []byte, depth int) {
	kind, params := mediaType(h.get("content-type"))
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < maxDepth {
		m.parts(body, params["boundary"], depth)
		return
	}
	if len(m.leaves) < maxParts {
		m.leaves = append(m.leaves, leaf{kind: kind, header: h, body: decode(h.get("content-transfer-encoding"), body)})
	}
}

// parts reads a multipart body; one that breaks off is read as far as it goes.
func (m *mail) parts(body []byte, boundary string, depth int) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		p, err := r.NextRawPart()
		if err != nil {
			return
		}
		h := header{}
		for name, values := range p.Header {
			h[strings.ToLower(name)] = values
		}
		inner, err := io.ReadAll(p)
		m.walk(h, inner, depth+1)
		if err != nil {
			return
		}
	}
}

var boundaryMark = regexp.MustCompile(`(?i)boundary=`)

// mediaType reads a content type, also one with a mistake behind the boundary.
func mediaType(text string) (string, map[string]string) {
	kind, params, err := mime.ParseMediaType(text)
	if err == nil {
		return kind, params
	}
	kind, rest, _ := strings.Cut(text, ";")
	params = map[string]string{}
	if at := boundaryMark.FindStringIndex(rest); at != nil {
		b := rest[at[1]:]
		if strings.HasPrefix(b, `"`) {
			b, _, _ = strings.Cut(b[1:], `"`)
		} else if end := strings.IndexAny(b, "; \t"); end >= 0 {
			b = b[:end]
		}
		params["boundary"] = b
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// decode undoes the transfer encoding, as far as it is one.
func decode(encoding string, body []byte) string {
	var r io.Reader
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, &onlyBase64{bytes.NewReader(body)})
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(body))
	default:
		return string(body)
	}
	out, err := io.ReadAll(r)
	if err != nil && len(out) == 0 {
		return string(body)
	}
	return string(out)
}

// onlyBase64 leaves out what is no base64, as mail programs do.
type onlyBase64 struct{ r *bytes.Reader }

func (o *onlyBase64) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	kept := 0
	for _, c := range p[:n] {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
			p[kept] = c
			kept++
		}
	}
	if kept == 0 && n > 0 {
		return o.Read(p)
	}
	return kept, err
}

func (m *mail) id() string { return strings.Trim(m.header.get("message-id"), "<> ") }

func (m *mail) date() time.Time {
	at, err := netmail.ParseDate(m.header.get("date"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// sender is the address in From.
func (m *mail) sender() string {
	from := m.header.get("from")
	if list, err := netmail.ParseAddressList(from); err == nil && len(list) > 0 {
		return list[0].Address
	}
	return addressIn(from)
}

// text is all that can be read, headers first.
func (m *mail) text() string {
	var b strings.Builder
	for _, name := range [...]string{"to", "delivered-to", "x-original-to", "envelope-to", "references", "in-reply-to", "subject"} {
		for _, v := range m.header[name] {
			b.WriteString(v + "\n")
		}
	}
	for _, l := range m.leaves {
		if b.Len() > maxText {
			break
		}
		b.WriteString(l.body)
		b.WriteString("\n")
	}
	text := b.String()
	return text[:min(len(text), maxText)]
}

// subject is decoded and in lower case.
func (m *mail) subject() string {
	s := m.header.get("subject")
	if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		s = d
	}
	return strings.ToLower(s)
}
