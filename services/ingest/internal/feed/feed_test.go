package feed

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// TestAMessageThatIsPublishedTwiceIsOneEvent although the stream forgot the first.
func TestAMessageThatIsPublishedTwiceIsOneEvent(t *testing.T) {
	f := New(Deps{Sources: source.NewLive(&source.Set{})})
	idOf := func(seq uint64, header, data string) string {
		p := &ledgerv1.Parked{Subject: "inbound.product", Seq: seq, Data: []byte(data), MessageTime: timestamppb.New(time.Unix(1764547200, 0))}
		if header != "" {
			p.Headers = map[string]string{"Nats-Msg-Id": header}
		}
		subs, err := f.Reread(p)
		if err != nil || len(subs) != 1 {
			t.Fatalf("%d submissions, %v", len(subs), err)
		}
		return subs[0].ID
	}
	const one, other = `{"type":"track","userId":"u1","event":"Viewed"}`, `{"type":"track","userId":"u1","event":"Bought"}`
	const named = `{"type":"track","userId":"u1","event":"Viewed","messageId":"m1"}`
	first := idOf(7, "a", one)
	for _, c := range []struct {
		what string
		id   string
		same bool
	}{
		{"the same message, published again", idOf(8, "a", one), true},
		{"another message under an id that is free again", idOf(8, "a", other), false},
		{"the same content under another id", idOf(8, "b", one), false},
		{"the same content without an id", idOf(8, "", one), false},
	} {
		if (c.id == first) != c.same {
			t.Errorf("%s: %q, the first was %q", c.what, c.id, first)
		}
	}
	if idOf(7, "", one) == idOf(8, "", one) || idOf(7, "", one) != idOf(7, "", other) {
		t.Error("messages without an id are told apart by their place alone")
	}
	if id := idOf(7, "a", named); id != "product/m1" {
		t.Errorf("an event with an id of its own has %q", id)
	}
}

func TestAMessageThatBreaksItsParserIsAnErrorAndNotTheEnd(t *testing.T) {
	f := New(Deps{Log: slog.New(slog.DiscardHandler)}) // without sources reading panics
	subs, err := f.Reread(&ledgerv1.Parked{Subject: "inbound.product", Data: []byte(`{"type":"track","userId":"u1","event":"Viewed"}`)})
	if len(subs) > 0 || err == nil || !strings.Contains(err.Error(), "broke") {
		t.Errorf("%v, %v", subs, err)
	}
}
