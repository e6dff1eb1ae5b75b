package mail_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

const html = `<!DOCTYPE html><html><body><p>Hi {{ lead.first_name }}</p>
<a class="b" href="{{ links.site }}/guide?a=1&amp;b=2">Guide</a> <a href="mailto:sam@example.com">Mail</a>
<a href="{{ lead.website }}">You</a> <a href='#top'>Top</a> <A HREF="{{ unsubscribe_url }}">Unsubscribe</A></body></html>`

const text = "Hi {{ lead.first_name }}\nGuide: {{ links.site }}/guide.\nUnsubscribe: {{ unsubscribe_url }}\n"

func signer(tb testing.TB) *link.Signer {
	tb.Helper()
	s, err := link.NewSigner([]string{hex.EncodeToString(bytes.Repeat([]byte{7}, 32))})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func writer(tb testing.TB) *mail.Writer {
	tb.Helper()
	return &mail.Writer{
		Links: signer(tb), BaseURL: "http://127.0.0.1:8082", Domain: "mail.acme.example",
		Sender: letter.Sender{Name: "Sam from Acme", Email: "sam@acme.example", Company: "Acme", Address: "1 Acme Way"},
	}
}

func touch(tb testing.TB, p *leadv1.Profile) mail.Touch {
	tb.Helper()
	c, err := program.NewCompiler()
	if err != nil {
		tb.Fatal(err)
	}
	prog, err := c.Compile(program.Bundle{
		File: "welcome.yaml", Links: map[string]string{"site": "https://www.acme.example"}, TimeScale: 1,
		YAML:      "name: welcome\nenroll: {when: 'true'}\nsteps:\n  - id: hello\n    email: {template: t, subject: 'Hello {{ lead.first_name }}'}\n",
		Templates: map[string]letter.Source{"t": {Name: "t", HTML: html, Text: text}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return mail.Touch{
		ID: "lead-1-t1", Lead: &leadv1.Lead{LeadId: "lead-1", Profile: p}, Program: prog, Step: prog.Steps[0],
		At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
	}
}

func compose(t *testing.T, p *leadv1.Profile) (mail.Mail, *message.Entity, map[string]string) {
	t.Helper()
	m, err := writer(t).Compose(touch(t, p))
	if err != nil {
		t.Fatal(err)
	}
	entity, err := message.Read(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	parts, reader := map[string]string{}, entity.MultipartReader()
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return m, entity, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := part.Header.ContentType()
		parts[kind] = string(body)
	}
}

func ann() *leadv1.Profile {
	return &leadv1.Profile{Email: "ann@example.com", FirstName: "Ann", LastName: "Lee", Website: "javascript:alert(1)"}
}

func TestAMailHasWhatOneClickUnsubscribeNeeds(t *testing.T) {
	t.Parallel()
	m, entity, parts := compose(t, ann())
	if kind, _, _ := entity.Header.ContentType(); kind != "multipart/alternative" || len(parts) != 2 {
		t.Errorf("type %s, parts %d", kind, len(parts))
	}
	want := map[string]string{
		"Message-Id": "<lead-1-t1@mail.acme.example>", "From": `"Sam from Acme" <sam@acme.example>`,
		"To": `"Ann Lee" <ann@example.com>`, "Subject": "Hello Ann", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
	}
	for name, value := range want {
		if got := entity.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	url := regexp.MustCompile(`^<http://127\.0\.0\.1:8082/u/([^>]+)>$`).FindStringSubmatch(entity.Header.Get("List-Unsubscribe"))
	if url == nil {
		t.Fatalf("List-Unsubscribe: %q", entity.Header.Get("List-Unsubscribe"))
	}
	tok, err := signer(t).Verify(link.Unsubscribe, url[1])
	if err != nil || tok.Lead != "lead-1" || tok.Touch != "lead-1-t1" || tok.Target != "marketing_email" {
		t.Errorf("token %+v, error %v", tok, err)
	}
	if !strings.Contains(parts["text/html"], `HREF="http`) && !strings.Contains(parts["text/html"], `href="http://127.0.0.1:8082/u/`+url[1]) {
		t.Error("no link to unsubscribe in the HTML part")
	}
	if !strings.Contains(parts["text/plain"], "Unsubscribe: http://127.0.0.1:8082/u/"+url[1]) {
		t.Error("no link to unsubscribe in the text part")
	}
	if !regexp.MustCompile(`(?m)^List-Unsubscribe: <http[^\r\n]*>\r$`).Match(m.Raw) {
		t.Error("List-Unsubscribe is folded")
	}
}

func TestEveryWebLinkGoesThroughUsAndNothingElse(t *testing.T) {
	t.Parallel()
	_, _, parts := compose(t, ann())
	clicks := regexp.MustCompile(`http://127\.0\.0\.1:8082/t/c/([A-Za-z0-9_-]+)`)
	for kind, want := range map[string][]string{
		"text/html": {"https://www.acme.example/guide?a=1&b=2"}, "text/plain": {"https://www.acme.example/guide"},
	} {
		var got []string
		for _, m := range clicks.FindAllStringSubmatch(parts[kind], -1) {
			tok, err := signer(t).Verify(link.Click, m[1])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, tok.Target)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s leads to %v, want %v", kind, got, want)
		}
		if strings.Contains(parts[kind], "javascript:") {
			t.Errorf("%s still has a script for a link", kind)
		}
	}
	for _, keep := range []string{`href="mailto:sam@example.com"`, `href="#top"`, `class="b"`, `</a>`} {
		if !strings.Contains(parts["text/html"], keep) {
			t.Errorf("%s is gone:\n%s", keep, parts["text/html"])
		}
	}
	if !regexp.MustCompile(`<img src="http://127\.0\.0\.1:8082/t/o/[A-Za-z0-9_-]+\.gif"[^>]*></body>`).MatchString(parts["text/html"]) {
		t.Errorf("no pixel at the end of the body:\n%s", parts["text/html"])
	}
}

func TestTheTrapIsInTheHTMLPartAloneAndNoReaderSeesIt(t *testing.T) {
	t.Parallel()
	_, _, parts := compose(t, ann())
	trap := regexp.MustCompile(`<a href="http://127\.0\.0\.1:8082/t/x/([A-Za-z0-9_-]+)" rel="nofollow" tabindex="-1" aria-hidden="true" style="display:none"></a>`)
	found := trap.FindStringSubmatch(parts["text/html"])
	if found == nil || strings.Contains(parts["text/plain"], "/t/x/") {
		t.Fatalf("the trap: %v", found)
	}
	tok, err := signer(t).Verify(link.Trap, found[1])
	if err != nil || tok.Lead != "lead-1" || tok.Sent.IsZero() {
		t.Errorf("%+v, %v", tok, err)
	}
}

func TestANameCannotAddAHeaderOrAReader(t *testing.T) {
	t.Parallel()
	evil := ann()
	evil.FirstName = "Ann\r\nBcc: everybody@example.com\r\n\r\n<script>"
	m, entity, parts := compose(t, evil)
	if entity.Header.Get("Bcc") != "" || regexp.MustCompile(`(?s)\nBcc:.*\r\n\r\n--`).Match(m.Raw[:bytes.Index(m.Raw, []byte("\r\n\r\n"))+6]) {
		t.Errorf("the name became a header:\n%s", m.Raw)
	}
	if m.To != "ann@example.com" || strings.Contains(parts["text/html"], "<script>") {
		t.Errorf("to %q, html %s", m.To, parts["text/html"])
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, email := range []string{"", "ann", "a@b@c", "Ann <ann@example.com>", "ann@example.com\r\nRCPT TO:<x@example.com>", "ann@example.com, bob@example.com"} {
		if _, err := writer(t).Compose(touch(t, &leadv1.Profile{Email: email})); !errors.Is(err, mail.ErrAddress) {
			t.Errorf("%q: error %v", email, err)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	w, tt := writer(b), touch(b, ann())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Compose(tt); err != nil {
			b.Fatal(err)
		}
	}
}
