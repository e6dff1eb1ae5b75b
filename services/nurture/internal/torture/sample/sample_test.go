package sample_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sample"
)

func recorded(t *testing.T) *torture.Evidence {
	t.Helper()
	ev, err := sample.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestNothingIsWrongInTheRecordedRun(t *testing.T) {
	t.Parallel()
	r := torture.Check(recorded(t))
	if !r.OK() {
		t.Fatalf("the checker finds fault with a good run:\n%s", r.Text())
	}
	if r.Kills < 20 || r.Events < 300 || r.Acked == 0 || r.Refused == 0 || r.Ambiguous == 0 || r.ParkedHandoffs == 0 || r.Mails < 90 {
		t.Errorf("the run has too little to prove anything on:\n%s", r.Text())
	}
}

func TestEveryMutantTurnsTheCheckerRed(t *testing.T) {
	t.Parallel()
	for _, m := range torture.Mutants() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			bad := recorded(t)
			if !m.Spoil(bad) {
				t.Fatal("the recorded run has nothing of the kind")
			}
			if r := torture.Check(bad); r.Count(m.Wrong) == 0 || r.OK() {
				t.Errorf("the checker does not see it:\n%s", r.Text())
			}
		})
	}
}

func TestProvingLeavesTheEvidenceAsItWas(t *testing.T) {
	t.Parallel()
	ev := recorded(t)
	caught, missed := torture.Prove(ev)
	if caught != len(torture.Mutants()) || len(missed) > 0 {
		t.Errorf("caught %d, missed %v", caught, missed)
	}
	if diff := cmp.Diff(recorded(t), ev); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestEvidenceIsReadAsItWasSaved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "evidence.json.gz")
	want := recorded(t)
	if err := sample.Save(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := sample.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-saved +read):\n%s", diff)
	}
}
