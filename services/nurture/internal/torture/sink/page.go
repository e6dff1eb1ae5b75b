package sink

import (
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"regexp"
	"strings"
)

// page is the HTML of a mail; empty when it has none.
func page(msg *mail.Message) (string, error) {
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return "", nil //nolint:nilerr // a mail without a type is plain text
	}
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := parts.NextPart() // it decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("read parts of mail: %w", err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			continue
		}
		raw, err := io.ReadAll(part)
		if err != nil {
			return "", fmt.Errorf("read HTML of mail: %w", err)
		}
		return string(raw), nil
	}
}

// look finds what of a mail can be hit: everything whose address is one of
// campaign's own.
func (m *Mail) look(page string) {
	for _, found := range regexp.MustCompile(`(?:href|src)="([^"]*/t/([cox])/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		switch address := html.UnescapeString(found[1]); found[2] {
		case "o":
			m.Picture = address
		case "x":
			m.Trap = address
		default:
			m.Links = append(m.Links, address)
		}
	}
}
