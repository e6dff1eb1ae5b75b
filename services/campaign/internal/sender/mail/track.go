package mail

import (
	"errors"
	"fmt"
	stdhtml "html"
	"io"
	"strings"

	"golang.org/x/net/html"

	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

// trackHTML leads every link through us. Links that are to be kept stay as they
// are, mailto, tel and anchors too; a link to anything else that no browser
// should follow loses its target.
func trackHTML(text string, keep func(string) bool, track func(string) string) (string, error) {
	var out strings.Builder
	out.Grow(len(text) + len(text)/2)
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if errors.Is(z.Err(), io.EOF) {
				return out.String(), nil
			}
			return "", fmt.Errorf("read HTML part: %w", z.Err())
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			out.Write(z.Raw())
			continue
		}
		if tag := z.Raw(); len(tag) < 2 || tag[1] != 'a' && tag[1] != 'A' {
			out.Write(tag)
			continue
		}
		raw := string(z.Raw())
		if name, hasAttr := z.TagName(); !hasAttr || string(name) != "a" && string(name) != "area" {
			out.WriteString(raw)
			continue
		}
		out.WriteString(anchor(raw, z, keep, track))
	}
}

// anchor writes a link's tag again with its target replaced.
func anchor(raw string, z *html.Tokenizer, keep func(string) bool, track func(string) string) string {
	var b strings.Builder
	b.WriteString(raw[:len(tagName(raw))+1])
	for more := true; more; {
		var key, val []byte
		key, val, more = z.TagAttr()
		value := string(val)
		if string(key) == "href" {
			value = target(value, keep, track)
		}
		fmt.Fprintf(&b, ` %s="%s"`, key, stdhtml.EscapeString(value))
	}
	if strings.HasSuffix(raw, "/>") {
		b.WriteString("/")
	}
	return b.String() + ">"
}

func tagName(raw string) string {
	name := strings.TrimPrefix(raw, "<")
	if end := strings.IndexAny(name, " \t\r\n/>"); end >= 0 {
		return name[:end]
	}
	return name
}

func target(url string, keep func(string) bool, track func(string) string) string {
	url = strings.TrimSpace(url)
	lower := strings.ToLower(url)
	switch {
	case keep(url), strings.HasPrefix(url, "#"), strings.HasPrefix(lower, "mailto:"), strings.HasPrefix(lower, "tel:"):
		return url
	case link.Followable(url):
		return track(url)
	default:
		return "#"
	}
}

// addTrap puts a link at the end of the body that no reader sees and no screen
// reader says.
func addTrap(text, url string) string {
	return addLast(text, `<a href="`+stdhtml.EscapeString(url)+`" rel="nofollow" tabindex="-1" aria-hidden="true" style="display:none"></a>`)
}

// addPixel puts the open pixel at the end of the body.
func addPixel(text, url string) string {
	return addLast(text, `<img src="`+stdhtml.EscapeString(url)+`" width="1" height="1" alt="" style="display:block;border:0">`)
}

func addLast(text, element string) string {
	const end = "</body>"
	for at := strings.LastIndex(text, "</"); at >= 0; at = strings.LastIndex(text[:at], "</") {
		if len(text) >= at+len(end) && strings.EqualFold(text[at:at+len(end)], end) {
			return text[:at] + element + text[at:]
		}
	}
	return text + element
}

// trackText leads every address in the text part through us.
func trackText(text string, keep func(string) bool, track func(string) string) string {
	var out strings.Builder
	for {
		before, url := firstAddress(text)
		if url == "" {
			if out.Len() == 0 {
				return text
			}
			return out.String() + text
		}
		out.WriteString(text[:before])
		text = text[before+len(url):]
		if !keep(url) && link.Followable(url) {
			url = track(url)
		}
		out.WriteString(url)
	}
}

// firstAddress finds the first web address in running text, without the
// punctuation that ends a sentence, and what stands before it; empty when there is
// none.
func firstAddress(text string) (before int, url string) {
	for from := 0; ; {
		at := strings.Index(text[from:], "://")
		if at < 0 {
			return 0, ""
		}
		at += from
		from = at + len("://")
		head := text[:at]
		start := len(head) - len("https")
		if !strings.HasSuffix(head, "https") {
			start = len(head) - len("http")
		}
		if !strings.HasSuffix(head, "https") && !strings.HasSuffix(head, "http") {
			continue
		}
		rest := text[from:]
		if end := strings.IndexAny(rest, " \t\n\f\r<>\""); end >= 0 {
			rest = rest[:end]
		}
		if rest = strings.TrimRight(rest, ".,;:!?)]'"); rest != "" {
			return start, text[start : from+len(rest)]
		}
	}
}
