package cli

import (
	"context"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// judge is an ingest that says what it is told to.
type judge struct {
	ingestv1.IngestServiceClient
	grpc.ServerStreamingClient[ingestv1.RejudgeHitsResponse]
	asked *ingestv1.RejudgeHitsRequest
	says  []*ingestv1.RejudgeHitsResponse
}

func (j *judge) RejudgeHits(_ context.Context, in *ingestv1.RejudgeHitsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[ingestv1.RejudgeHitsResponse], error) {
	j.asked = in
	return j, nil
}

func (j *judge) Recv() (*ingestv1.RejudgeHitsResponse, error) {
	if len(j.says) == 0 {
		return nil, io.EOF
	}
	next := j.says[0]
	j.says = j.says[1:]
	return next, nil
}

func TestJudgingAgainSaysEachVerdictThatIsDifferent(t *testing.T) {
	j := &judge{says: []*ingestv1.RejudgeHitsResponse{
		{Leads: 1, Hits: 2, Changed: 1, LeadId: "L1", Was: &leadv1.Activity{Type: "email_clicked", Verdict: "human"}, Now: &leadv1.Activity{Type: "email_clicked", Machine: true, Verdict: "trap_link"}},
		{Leads: 500, Hits: 9, Changed: 1},
		{Leads: 700, Hits: 12, Changed: 1, FlagsChanged: 3, Rules: "abc"},
	}}
	var out strings.Builder
	if err := rejudge(t.Context(), j, &out, &ingestv1.RejudgeHitsRequest{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	want := "L1    email_clicked: a machine's (trap_link), was a person's\n" +
		"700 leads, 12 opens and clicks: 1 verdicts and the flags of 3 leads would be different by rules abc\n"
	if out.String() != want || !j.asked.GetDryRun() {
		t.Errorf("said %q, asked %v", out.String(), j.asked)
	}
}
