package ingest

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestAVerdictIsFoundByItsTagAlone(t *testing.T) {
	fields := (&ingestv1.Event{}).ProtoReflect().Descriptor().Fields()
	if got := fields.ByName("judged").Number(); got != fieldJudged {
		t.Fatalf("judged is field %d, not %d", got, fieldJudged)
	}
	for _, e := range []*ingestv1.Event{
		{},
		{Source: "website", OccurredAt: timestamppb.Now(), Fact: &ingestv1.Event_Captured{Captured: &ingestv1.Captured{}}},
		{OriginLeadId: "l1", Fact: &ingestv1.Event_Activity{Activity: &leadv1.Activity{Type: "email_clicked", Pending: true}}},
		{Source: "mail", OriginLeadId: "l1", Fact: &ingestv1.Event_Judged{Judged: &ingestv1.Judged{Activity: &leadv1.Activity{Type: "email_clicked"}}}},
		{Fact: &ingestv1.Event_Judged{Judged: &ingestv1.Judged{}}},
	} {
		raw, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := isJudged(raw); got != (e.GetJudged() != nil) {
			t.Errorf("isJudged(%v) = %v", e, got)
		}
		if len(raw) > 0 && isJudged(raw[:len(raw)-1]) && e.GetJudged() == nil {
			t.Errorf("a broken %v is a verdict", e)
		}
	}
}
