// Package inbox is the mailbox of every lead in the all-in-one process: an SMTP
// server on loopback and a page that shows each mail as the lead would see it.
package inbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // mails in other charsets than UTF-8
	"github.com/emersion/go-message/mail"
	"golang.org/x/net/html"
)

// maxPart bounds one decoded part of a mail, in bytes.
const maxPart = 1 << 20

// Mail is one mail as it arrived.
type Mail struct {
	// ID counts arrivals from 1.
	ID uint64
	// To is the envelope's recipient.
	To string
	// From is the sender's name, or its address when it has none.
	From       string
	Subject    string
	MessageID  string
	ReceivedAt time.Time
	// Headers are all header fields in the order of the mail.
	Headers []Header
	HTML    string
	Text    string
	// Unsubscribe is the HTTP address of List-Unsubscribe; empty without one.
	Unsubscribe string
	// OneClick is true when the mail allows RFC 8058 one-click unsubscribing.
	OneClick bool
	// Links and Images are the http(s) addresses in the HTML part, in order,
	// without repeats: what a person can click and what opening the mail loads.
	Links  []string
	Images []string
	// Copies is how many mails of the same key have arrived, this one included.
	Copies int
}

// Header is one header field, decoded.
type Header struct{ Name, Value string }

// Key identifies what was meant to be sent once: the recipient and the touch,
// or the Message-ID when the mail names no touch.
func (m *Mail) Key() string {
	for _, h := range m.Headers {
		if strings.EqualFold(h.Name, "X-Nurture-Touch") && h.Value != "" {
			return m.To + " " + h.Value
		}
	}
	return m.To + " " + m.MessageID
}

// Parse reads a mail from its bytes. Parts that are neither text nor HTML are
// left out; a part that cannot be decoded is an error.
func Parse(raw []byte) (*Mail, error) {
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read mail header: %w", err)
	}
	defer r.Close()
	m := &Mail{}
	m.readHeader(&r.Header)
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !message.IsUnknownCharset(err) {
			return nil, fmt.Errorf("read mail part: %w", err)
		}
		if err := m.readPart(part); err != nil {
			return nil, err
		}
	}
	m.Links, m.Images = addresses(m.HTML)
	return m, nil
}

func (m *Mail) readHeader(h *mail.Header) {
	for f := h.Fields(); f.Next(); {
		value, err := f.Text()
		if err != nil {
			value = f.Value()
		}
		m.Headers = append(m.Headers, Header{Name: f.Key(), Value: value})
	}
	m.Subject, _ = h.Subject()
	m.MessageID, _ = h.MessageID()
	m.From = sender(h)
	m.Unsubscribe = unsubscribeAddress(h.Get("List-Unsubscribe"))
	m.OneClick = strings.EqualFold(strings.TrimSpace(h.Get("List-Unsubscribe-Post")), "List-Unsubscribe=One-Click")
}

// sender is the name a mailbox shows, else the address, else the header as it is.
func sender(h *mail.Header) string {
	list, err := h.AddressList("From")
	if err != nil || len(list) == 0 {
		text, _ := h.Text("From")
		return text
	}
	return cmp.Or(list[0].Name, list[0].Address)
}

func (m *Mail) readPart(part *mail.Part) error {
	inline, ok := part.Header.(*mail.InlineHeader)
	if !ok {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(part.Body, maxPart))
	if err != nil {
		return fmt.Errorf("decode mail part: %w", err)
	}
	kind, _, err := inline.ContentType()
	switch {
	case err != nil || kind == "text/plain":
		m.Text += string(body)
	case kind == "text/html":
		m.HTML += string(body)
	}
	return nil
}

// unsubscribeAddress picks the http(s) address out of "<https://…>, <mailto:…>".
func unsubscribeAddress(header string) string {
	for _, item := range strings.Split(header, ",") {
		item = strings.Trim(strings.TrimSpace(item), "<>")
		if isWeb(item) {
			return item
		}
	}
	return ""
}

func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// addresses lists what a mail links to and what images it loads.
func addresses(page string) (links, images []string) {
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return links, images
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		token := z.Token()
		switch token.Data {
		case "a":
			links = appendWeb(links, attribute(token, "href"))
		case "img":
			images = appendWeb(images, attribute(token, "src"))
		}
	}
}

func attribute(token html.Token, name string) string {
	for _, a := range token.Attr {
		if a.Key == name {
			return strings.TrimSpace(a.Val)
		}
	}
	return ""
}

func appendWeb(list []string, address string) []string {
	if !isWeb(address) {
		return list
	}
	for _, known := range list {
		if known == address {
			return list
		}
	}
	return append(list, address)
}
