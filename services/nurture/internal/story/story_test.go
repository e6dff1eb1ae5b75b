package story

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestTheReportHasExactlyTheKeysThatScriptsRead(t *testing.T) {
	raw, err := json.Marshal(Report{Captured: 100, QualifiedAtArrival: 20, HandedOff: 40, Nurturing: 60, Recycled: 9, Mails: 380})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"captured":100,"qualified_at_arrival":20,"handed_off":40,"nurturing":60,"recycled":9,"mails":380,` +
		`"double_sends":0,"orphans":0,"parked":0,"unaccounted":0}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
}

func TestEveryBrokenPromiseIsNamed(t *testing.T) {
	kept := Report{Captured: 100, Nurturing: 80}
	if err := kept.Check(100); err != nil {
		t.Errorf("all promises kept, and yet: %v", err)
	}
	for name, r := range map[string]Report{
		"captured": {Captured: 99}, "double_sends": {Captured: 100, DoubleSends: 1}, "orphans": {Captured: 100, Orphans: 1},
		"parked": {Captured: 100, Parked: 1}, "unaccounted": {Captured: 100, Unaccounted: 1}, "refused": {Captured: 100, Refused: 1},
	} {
		if err := r.Check(100); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is broken, and the check says %v", name, err)
		}
	}
}
