package witness

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Unseal asks ingest what the parked messages are about that only it can open.
func Unseal(ctx context.Context, addr string, facts []torture.Fact) error {
	conn, err := rpc.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	ingest := ingestv1.NewIngestServiceClient(conn)
	for i, f := range facts {
		if f.Kind != torture.Parked || f.Hash == "" {
			continue
		}
		seq, err := strconv.ParseUint(f.Hash, 10, 64)
		if err != nil {
			return fmt.Errorf("parked message %q: %w", f.Hash, err)
		}
		got, err := ingest.GetReject(ctx, &ingestv1.GetRejectRequest{RejectId: seq})
		if err != nil {
			return fmt.Errorf("ask for reject %d: %w", seq, err)
		}
		r := got.GetReject()
		facts[i].Hash = ""
		facts[i].ID = subjectOf(&ledgerv1.Parked{Source: r.GetSource(), Stream: f.Type, Subject: f.Stream, Data: r.GetRaw()})
		for _, fault := range r.GetFaults() {
			facts[i].Reason += " " + fault.GetField() + " " + fault.GetMessage()
		}
	}
	return nil
}
