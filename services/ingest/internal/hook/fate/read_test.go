package fate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
)

const ours = "0197a1b2c3d47e5f8091a2b3c4d5e6f7-t3"

// TestWhatEveryProviderTellsIsReadForWhatItIs reads testdata/<provider>.txt:
// blocks of a title, an event as the provider's documents show it, and what it
// is to mean after "=>".
func TestWhatEveryProviderTellsIsReadForWhatItIs(t *testing.T) {
	t.Parallel()
	for _, s := range senders(t) {
		raw, err := os.ReadFile(filepath.Join("testdata", s.name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(strings.TrimSpace(string(raw)), "\n\n")
		if len(blocks) < 8 {
			t.Errorf("%s: only %d samples", s.name, len(blocks))
		}
		for _, block := range blocks {
			title, rest, _ := strings.Cut(block, "\n")
			event, want, found := strings.Cut(rest, "\n=> ")
			if !found {
				t.Fatalf("%s, %s: no expectation", s.name, title)
			}
			t.Run(s.name+"/"+strings.TrimPrefix(title, "# "), func(t *testing.T) {
				t.Parallel()
				secret, key := s.key(1)
				src := s.source(secret)
				src.Options[fate.OptionEngagement] = "true"
				req := s.call(s.wrap(event), key, noon)
				d := s.dialect()
				if err := d.Verify(req, src); err != nil {
					t.Fatal(err)
				}
				reading, err := d.Read(req, src)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, item := range reading.Items {
					got = append(got, describe(item))
				}
				if diff := cmp.Diff(strings.Split(want, "\n=> "), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				again, err := d.Read(req, src)
				if err != nil || len(again.Items) != len(reading.Items) || again.Items[0].ID != reading.Items[0].ID {
					t.Errorf("read again the id is %q, was %q, error %v", again.Items[0].ID, reading.Items[0].ID, err)
				}
			})
		}
	}
}

// describe writes an item in a line: what, how, whose, with what consequence.
func describe(i hook.Item) string {
	if i.Submission == nil {
		if i.Ignored != "" {
			return "ignored " + i.Ignored
		}
		return fmt.Sprintf("reject %s %s", i.Faults[0].Field, i.Faults[0].Message)
	}
	c, a := i.Submission.Apply.GetCapture(), i.Submission.Apply.GetCapture().GetActivity()
	p := a.GetProperties()
	out := a.GetType()
	add := func(format string, value string) {
		if value != "" {
			out += " " + fmt.Sprintf(format, value)
		}
	}
	add("%s", p["bounce"])
	add("(%s)", p["reason"])
	add("at %s", a.GetOccurredAt().AsTime().Format("15:04:05"))
	add("by %s", p["found_by"])
	if i.Submission.Lead != "" {
		add("of %s", strings.Replace(p["touch_id"], ours, "ours", 1))
	} else {
		add("of %s", c.GetProfile().GetEmail())
	}
	add("url %s", p["url"])
	if a.GetMachine() {
		out += " machine"
	}
	add("seen %s", a.GetHit().GetAgent())
	add("from %s", a.GetHit().GetNetwork())
	for _, consent := range c.GetConsents() {
		add("withdraws %s", consent.GetPurpose())
	}
	if s := i.Submission.Apply.GetSuppression(); s != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		add("=%s", strings.TrimPrefix(s.String(), "SUPPRESSION_"))
	}
	if !i.Submission.Apply.GetMustExist() || i.Submission.ID == "" || a.GetId() == "" {
		out += " AND MAKES A LEAD OR HAS NO ID"
	}
	return out
}

func TestOpensAndClicksAreCountedOnceByOurOwnLinks(t *testing.T) {
	t.Parallel()
	s := senders(t)[2]
	n := fate.News{ID: "1", Kind: fate.Opened, Touch: ours}
	if i := n.Item(s.source("x")); i.Submission != nil || i.Ignored != fate.IgnoredEngagement {
		t.Errorf("item %+v", i)
	}
}

func TestTheLimitOfSoftBouncesIsTheSources(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint32{"": 5, "3": 3, "0": 0, "10": 10, "11": 5, "-1": 5, "many": 5} {
		src := senders(t)[2].source("x")
		src.Options[fate.OptionSoft] = text
		i := fate.News{ID: "1", Kind: fate.Bounced, Touch: ours}.Item(src)
		if got := i.Submission.Apply.GetCapture().GetActivity().GetSoftBounceLimit(); got != want {
			t.Errorf("%q: limit %d, want %d", text, got, want)
		}
	}
}

func TestReasonsAreWordsAndNameNobody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5.1.1": "5.1.1", "Invalid Address": "invalid_address", "MailboxFull": "mailbox_full", "jo@example.com unknown": "",
		"  x  ": "x_", "": "", strings.Repeat("a", 99): strings.Repeat("a", 40), "zu gro\u00df": "zu_gro_",
	} {
		if got := fate.Word(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// FuzzRead gives every dialect what nobody sends.
func FuzzRead(f *testing.F) {
	all := senders(f)
	for i, s := range all {
		raw, err := os.ReadFile(filepath.Join("testdata", s.name+".txt"))
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq(string(raw), "\n\n") {
			if _, rest, ok := strings.Cut(block, "\n"); ok {
				event, _, _ := strings.Cut(rest, "\n=> ")
				f.Add(uint8(i), s.wrap(event)) //nolint:gosec // five
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		s := all[int(which)%len(all)]
		secret, _ := s.key(1)
		src := s.source(secret)
		req := request(body, noon)
		if err := s.dialect().Verify(req, src); err == nil {
			t.Error("a call without a signature was believed")
		}
		if strings.Contains(body, "SubscribeURL") {
			return
		}
		reading, err := s.dialect().Read(req, src)
		if err != nil {
			return
		}
		for _, i := range reading.Items {
			if (i.Submission != nil) == (i.Ignored != "") && len(i.Faults) == 0 {
				t.Errorf("item %+v is neither used nor refused", i)
			}
			if i.Submission != nil && !i.Submission.Apply.GetMustExist() {
				t.Error("news of a mail make a lead")
			}
		}
	})
}
