package stage_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/pkg/stage"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

var update = flag.Bool("update", false, "write the generated parts of docs/lifecycle.md anew")

const document = "../../docs/lifecycle.md"

func TestTheDocumentShowsTheStateMachineAsItIs(t *testing.T) {
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := string(raw)
	for name, part := range map[string]string{"diagram": diagram(), "table": table(), "owners": owners()} {
		want = replace(t, want, name, part)
	}
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("run `go test ./stage -update` in pkg (-want +got):\n%s", diff)
	}
}

// replace puts a generated part between its marks.
func replace(t *testing.T, text, name, part string) string {
	t.Helper()
	begin, end := "<!-- "+name+": generated from pkg/stage -->\n", "<!-- /"+name+" -->"
	head, rest, ok := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no part %q", document, name)
	}
	return head + begin + part + end + tail
}

func name(s leadv1.Stage) string {
	if s == leadv1.Stage_STAGE_UNSPECIFIED {
		return "[*]"
	}
	return stage.Name(s)
}

func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, row := range stage.Table() {
		for _, from := range row.From[:row.Usual] {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", name(from), name(row.To), row.On)
		}
	}
	for _, row := range stage.Table() {
		if row.Usual == 0 {
			fmt.Fprintf(&b, "    %s --> [*]\n", name(row.To))
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func table() string {
	var b strings.Builder
	b.WriteString("| trigger | told by | from | also from | to | meaning |\n|---|---|---|---|---|---|\n")
	for _, row := range stage.Table() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n",
			row.On, row.Owner, list(row.From[:row.Usual]), list(row.From[row.Usual:]), name(row.To), row.Meaning)
	}
	return b.String()
}

func list(stages []leadv1.Stage) string {
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = name(s)
		if s == leadv1.Stage_STAGE_UNSPECIFIED {
			names[i] = "(nothing yet)"
		}
	}
	if len(stages) == len(stage.All()) {
		return "every stage"
	}
	return strings.Join(names, ", ")
}

func owners() string {
	var b strings.Builder
	b.WriteString("| stage | who has to act |\n|---|---|\n")
	for _, s := range stage.All() {
		who := "scoring hands it to sales"
		switch {
		case stage.IsNurturable(s):
			who = "marketing nurtures it"
		case stage.IsWithSales(s):
			who = "a sales rep owns it"
		case stage.IsClosed(s):
			who = "nobody: closed"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", name(s), who)
	}
	return b.String()
}
