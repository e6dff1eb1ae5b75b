package letter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
)

func writer() *letter.Writer {
	return letter.NewWriter(map[string]string{"site": "https://www.acme.example"})
}

func reader(p *leadv1.Profile) letter.Reader {
	return letter.Reader{
		Profile: p, Sender: letter.Sender{Name: "Sam"}, Program: "welcome",
		Links: map[string]string{"site": "https://www.acme.example"}, UnsubscribeURL: "https://acme.example/u/x",
	}
}

func parse(t *testing.T, html string) *letter.Letter {
	t.Helper()
	l, err := writer().Parse(letter.Source{Name: "hello", HTML: html, Text: html})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWhatALeadToldIsEscapedInTheHTMLPartOnly(t *testing.T) {
	t.Parallel()
	evil := &leadv1.Profile{FirstName: `<script>"x"</script>`, Company: "A & B", Attributes: map[string]string{"plan": "<b>pro</b>"}}
	for name, tt := range map[string]struct{ template, html, text string }{
		"plain":          {`Hi {{ lead.first_name }}`, `Hi &lt;script&gt;&#34;x&#34;&lt;/script&gt;`, `Hi <script>"x"</script>`},
		"after a filter": {`{{ lead.first_name | upcase }}`, `&lt;SCRIPT&gt;&#34;X&#34;&lt;/SCRIPT&gt;`, `<SCRIPT>"X"</SCRIPT>`},
		"through assign": {`{% assign who = lead.company %}{{who}}`, `A &amp; B`, `A & B`},
		"attribute":      {`{{ lead.attributes.plan | default: "free" }}`, `&lt;b&gt;pro&lt;/b&gt;`, `<b>pro</b>`},
		"a list":         {`{{ lead.company | split: " " }}`, `A&amp;B`, `A&B`},
		"raw is raw":     {`{{ lead.company | raw }}`, `A & B`, `A & B`},
		"trimmed":        {"a  {{- lead.company -}}  b", `aA &amp; Bb`, `aA & Bb`},
		"a condition":    {`{% if lead.attributes.seats %}x{% else %}y{% endif %}`, `y`, `y`},
		"a comment":      {`a{% comment %}{{ nobody.knows }}{% endcomment %}b`, `ab`, `ab`},
		"truncated":      {`{{ lead.company | truncate: 3, "" }}|{{ lead.employees | plus: 1 }}`, `A &amp;|1`, `A &|1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			html, text, err := parse(t, tt.template).Render(reader(evil))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.html, tt.text}, []string{html, text}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWrongTemplateIsRefusedWhenItIsLoaded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ template, want string }{
		"unknown variable":              {"a\nHi {{ lead.frist_name }}", `hello.html.liquid:2:7: unknown variable "lead.frist_name"; did you mean "lead.first_name"?`},
		"in a branch nobody takes":      {`{% if false %}{{ lead.nope_at_all_here }}{% endif %}`, `unknown variable "lead.nope_at_all_here"; known are`},
		"unknown in a condition":        {`{% if led.company == "x" %}{% endif %}`, `unknown variable "led.company"; did you mean "lead.company"?`},
		"attribute without a default":   {`{{ lead.attributes.plan }}`, `lead.attributes.plan may be missing; add a default`},
		"unknown filter":                {`{{ lead.company | upcas }}`, `unknown filter "upcas"; did you mean "upcase"?`},
		"a filter that leaves memory":   {`{{ lead.company | json }}`, `unknown filter "json"`},
		"a loop":                        {`{% for i in (1..100000000) %}{% endfor %}`, `the tag "for" is not available in mails`},
		"another file":                  {`{% include "/etc/passwd" %}`, `the tag "include" is not available`},
		"the output filter by its name": {`{{ lead.company | nurture_out }}`, `unknown filter "nurture_out"`},
		"never closed":                  {"x\n {{ lead.company ", `hello.html.liquid:2:2: {{ is never closed; write }}`},
		"a block never ended":           {`{% if lead.company %}x`, `hello.html.liquid:1:1:`},
		"brackets":                      {`{{ lead["email"] }}`, `brackets are not available`},
		"no text":                       {"  \n", `the template is missing or empty`},
		"too big":                       {strings.Repeat("x", letter.MaxSource+1), `at most 262144 are allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := writer().Parse(letter.Source{Name: "hello", HTML: tt.template, Text: "ok"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant it to contain %s", err, tt.want)
			}
		})
	}
}

func TestATemplateCannotGrowWithoutBound(t *testing.T) {
	t.Parallel()
	doubling := `{% assign x = lead.email %}` + strings.Repeat(`{% assign x = x | append: x %}`, 60) + `{{ x }}`
	if _, err := writer().Parse(letter.Source{Name: "hello", HTML: doubling, Text: "ok"}); err == nil || !strings.Contains(err.Error(), "grew beyond") {
		t.Errorf("error = %v", err)
	}
	wide := parse(t, strings.Repeat(`{{ lead.company }}`, 2000))
	_, _, err := wide.Render(reader(&leadv1.Profile{Company: strings.Repeat("x", 1000)}))
	if !errors.Is(err, letter.ErrTooLong) {
		t.Errorf("error = %v", err)
	}
}

func TestASubjectIsOneLineWhateverTheLeadTold(t *testing.T) {
	t.Parallel()
	line, err := writer().ParseLine("welcome.yaml", 7, 3, `Hello {{ lead.first_name | default: "there" }}`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := line.Render(reader(&leadv1.Profile{FirstName: "Ann\r\nBcc: all@example.com"}))
	if err != nil || got != "Hello Ann Bcc: all@example.com" {
		t.Errorf("subject %q, error %v", got, err)
	}
	if _, err := writer().ParseLine("welcome.yaml", 7, 3, `{{ lead.nam }}`); err == nil || !strings.HasPrefix(err.Error(), "welcome.yaml:7:6: ") {
		t.Errorf("error = %v", err)
	}
}
