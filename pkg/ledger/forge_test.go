package ledger_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
)

// forge writes a record whose state no fold would give.
func forge(t *testing.T, b *bus.Bus, l *ledger.Ledger[state]) {
	t.Helper()
	e, err := l.Get(t.Context(), "lead3")
	if err != nil {
		t.Fatal(err)
	}
	rec := e.Record
	rec.Version++
	e.State.UserIds[0] = "never said"
	if rec.State, err = proto.Marshal(e.State); err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.Subject(bus.Scores, "lead3", bus.KindState), Data: raw}); err != nil {
		t.Fatal(err)
	}
}
