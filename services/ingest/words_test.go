package ingest_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

func TestWordsThatOthersKeepFollowTheirLeadThroughMerges(t *testing.T) {
	r := newRoom(t)
	one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
	seal := func(lead string) []byte {
		t.Helper()
		got, err := r.words.SealWords(t.Context(), &ingestv1.SealWordsRequest{LeadId: lead, Words: "about " + lead})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetSealed()
	}
	var all [][]byte
	var want []string
	about := func(lead string) { all, want = append(all, seal(lead)), append(want, "about "+lead) }
	check := func(when string) {
		t.Helper()
		got, err := r.words.OpenWords(t.Context(), &ingestv1.OpenWordsRequest{Sealed: all})
		if err != nil || !slices.Equal(got.GetWords(), want) {
			t.Errorf("%s: opened %q, %v; want %q", when, got.GetWords(), err, want)
		}
	}
	about(one)
	about(two)
	if _, err := r.api.MergeLeads(t.Context(), &ingestv1.MergeLeadsRequest{LeadId: one, FromLeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	about(two)
	check("merged")
	if _, err := r.api.UnmergeLead(t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	check("separated")
}

func TestWordsThatCannotBeSealedOrOpenedAreRefusedByName(t *testing.T) {
	r := newRoom(t)
	lead := r.addressed("jo@acme.example")
	seal := func(req *ingestv1.SealWordsRequest) codes.Code {
		_, err := r.words.SealWords(t.Context(), req)
		return status.Code(err)
	}
	open := func(sealed ...[]byte) codes.Code {
		_, err := r.words.OpenWords(t.Context(), &ingestv1.OpenWordsRequest{Sealed: sealed})
		return status.Code(err)
	}
	for name, tt := range map[string]struct{ got, want codes.Code }{
		"an unknown lead": {seal(&ingestv1.SealWordsRequest{LeadId: "nobody", Words: "x"}), codes.NotFound},
		"no lead's name":  {seal(&ingestv1.SealWordsRequest{LeadId: "rejects/2026-01-01", Words: "x"}), codes.NotFound},
		"no words":        {seal(&ingestv1.SealWordsRequest{LeadId: lead}), codes.InvalidArgument},
		"nothing to open": {open(), codes.InvalidArgument},
		"other bytes":     {open([]byte("x")), codes.InvalidArgument},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: answered %s, want %s", name, tt.got, tt.want)
		}
	}
}
