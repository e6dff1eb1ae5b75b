package dialects

import (
	"testing"

	"github.com/nurturehq/nurture/services/ingest/internal/hook/sample"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

func TestEverySampleIsOneThatItsDialectTakes(t *testing.T) {
	for kind, d := range All(nobody{}) {
		src := &source.Source{Name: "s", Kind: kind, Secrets: []string{newSecret, oldSecret}}
		req, _, err := sample.Call(src, sample.What{Base: "https://in.example.com", ID: "source-test-1", Now: now})
		if theirs := kind == "ses" || kind == "sendgrid"; theirs || err != nil {
			if !theirs || err == nil {
				t.Errorf("%s: a sample signed with a key that only they have: %v", kind, err)
			}
			continue
		}
		if err := d.Verify(req, src); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		read, err := d.Read(req, src)
		if err != nil || len(read.Items) != 1 || len(read.Items[0].Faults) > 0 || read.Items[0].Ignored != "" {
			t.Errorf("%s reads %+v, %v", kind, read.Items, err)
		}
	}
}
