package bus_test

import (
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

func TestWhatASourceRepeatsIsOneRejectAndOnlyItsReaderSendsItBack(t *testing.T) {
	b := bustest.New(t)
	for _, data := range []string{"x", "x", "y"} {
		p := &ledgerv1.Parked{Service: "ingest", Source: "website", Kind: "form", Reason: "invalid", Data: []byte(data)}
		if err := b.ParkReject(t.Context(), p, data); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.ListParked(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%d rejects, %v; expected two", len(list), err)
	}
	if err := b.Redrive(t.Context(), list[0].Seq); err == nil || !strings.Contains(err.Error(), "nurture rejects redrive") {
		t.Errorf("sent back without its reader: %v", err)
	}
}
