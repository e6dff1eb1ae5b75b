package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// taker takes mails and fails at those that say so.
type taker struct{ mails []string }

func (t *taker) take(raw []byte) (*ingestv1.TakeReturnResponse, error) {
	t.mails = append(t.mails, string(raw))
	if strings.Contains(string(raw), "not now") {
		return nil, errors.New("not now")
	}
	return &ingestv1.TakeReturnResponse{Verdict: "bounced_hard", LeadId: "l"}, nil
}

func TestAMailLeavesTheNewOnesOfAMaildirWhenItIsTaken(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"1": "Subject: a\r\n\r\n", "2": "Subject: not now\r\n\r\n", "3": "Subject: c\r\n\r\n"} {
		if err := os.WriteFile(filepath.Join(dir, "new", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := &taker{}
	r := &returns{tally: map[string]int{}, take: in.take}
	if err := r.read(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "2: not now") {
		t.Errorf("error %v", err)
	}
	if left, seen := names(t, dir, "new"), names(t, dir, "cur"); !slices.Equal(left, []string{"2", "3"}) || !slices.Equal(seen, []string{"1:2,S"}) {
		t.Errorf("new %v, seen %v", left, seen)
	}
	if r.tally["bounced_hard recorded"] != 1 {
		t.Errorf("counted %v", r.tally)
	}
}

func names(t *testing.T, dir, sub string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestEveryMailOfAnMboxIsReadWhole(t *testing.T) {
	const box = "From MAILER-DAEMON Thu Nov 26\nSubject: a\n\nbody\nFrom the middle\n>From me\n>>From you\n\nFrom x\nSubject: b\n\n\nFrom y\n"
	in := &taker{}
	r := &returns{tally: map[string]int{}, take: in.take}
	if err := r.mbox(t.Context(), strings.NewReader(box)); err != nil {
		t.Fatal(err)
	}
	want := []string{"Subject: a\n\nbody\nFrom the middle\nFrom me\n>From you\n\n", "Subject: b\n\n\n"}
	if !slices.Equal(in.mails, want) {
		t.Errorf("read %q", in.mails)
	}
	if err := r.mbox(t.Context(), strings.NewReader("Subject: a\n")); err == nil || !strings.Contains(err.Error(), "Maildir") {
		t.Errorf("a mail alone: %v", err)
	}
}

func TestWhomAMailWasDeliveredToIsReadFromItsHeaders(t *testing.T) {
	for raw, want := range map[string]string{
		"Delivered-To: bounce+x@b.example\nTo: other@b.example\n\n": "bounce+x@b.example",
		"To: Bounces <bounce+y@b.example>\n\n":                      "bounce+y@b.example",
		"Subject: none\n\n":                                         "", "no mail": "",
	} {
		if got := recipient([]byte(raw)); got != want {
			t.Errorf("%q was for %q, expected %q", raw, got, want)
		}
	}
}
