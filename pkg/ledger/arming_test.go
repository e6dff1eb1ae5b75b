package ledger_test

import (
	"strconv"
	"testing"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
)

// While a lane is busy, schedules wait for company: none may be forgotten, also by
// one that stops, and whoever changed its mind meanwhile does no harm.
func TestEveryLeadOfABusyLaneIsArmed(t *testing.T) {
	t.Parallel()
	const leads = 200
	b := bustest.New(t)
	l := open(t, b, ledgertest.Miniredis(t), options())
	for i := range leads {
		say(t, b, "lead"+strconv.Itoa(i), "wake=1h")
	}
	for i := range leads / 2 {
		say(t, b, "lead"+strconv.Itoa(i), "calm")
	}
	stop := start(t, l)
	for i := range leads {
		lead, want := "lead"+strconv.Itoa(i), 1
		if i < leads/2 {
			want = 2
		}
		ledgertest.Eventually(t, lead+" is heard", func() bool { return len(heard(t, l, lead)) == want })
	}
	stop() // what waits is published before it ends
	for i := leads / 2; i < leads; i++ {
		lead := "lead" + strconv.Itoa(i)
		if _, err := b.LastMsg(t.Context(), bus.Scores, bus.Subject(bus.Scores, lead, bus.KindWait)); err != nil {
			t.Errorf("%s is not armed: %v", lead, err)
		}
	}
}
