package torture_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// of tells a fact about another lead than the scene's own.
func (s *scene) of(lead string, f torture.Fact) *scene {
	f.Lead = lead
	s.ev.Facts = append(s.ev.Facts, f)
	return s
}

// hit is a click on the guide of touch t1, told and in the log; machine says who
// came.
func hit(machine bool) *scene {
	s := newScene()
	s.write(torture.Line{Op: torture.OpSend, ID: "t1/guide", Lead: "lead1", Kind: torture.Hit, Type: torture.Clicked, Machine: machine, Hash: "h"})
	return s.answered("t1/guide", torture.Acked)
}

func (s *scene) seen() *scene {
	return s.tell(torture.Fact{Kind: torture.Activity, ID: "t1/guide", Type: torture.Clicked, Hash: "h"})
}

func (s *scene) judged(status, ref string) *scene {
	return s.tell(torture.Fact{Kind: torture.Judged, ID: "t1/guide", Type: torture.Clicked, Status: status, Ref: ref})
}

func TestAHitIsOneFactWithOneVerdictThatItDeserves(t *testing.T) {
	t.Parallel()
	const human, machine = torture.StatusHuman, torture.StatusMachine
	for name, tt := range map[string]struct {
		scene *scene
		want  wrongs
	}{
		"a person's":                 {hit(false).seen().judged(human, "").scored(5), wrongs{}},
		"a machine's":                {hit(true).seen().judged(machine, "").scored(0), wrongs{}},
		"overruled":                  {hit(true).seen().judged(human, "").judged(machine, torture.Again).scored(0), wrongs{}},
		"gone":                       {hit(false), wrongs{torture.Lost: 1}},
		"without a verdict":          {hit(true).seen().scored(0), wrongs{torture.Unaccounted: 1}},
		"judged twice":               {hit(true).seen().judged(machine, "").judged(machine, "").scored(0), wrongs{torture.DupEffect: 1}},
		"a machine's that counts":    {hit(true).seen().judged(machine, "").scored(5), wrongs{torture.DupEffect: 1}},
		"a person's that does not":   {hit(false).seen().judged(human, "").scored(0), wrongs{torture.Lost: 1}},
		"a machine for a person":     {hit(true).seen().judged(human, "").scored(5), wrongs{torture.DupEffect: 1}},
		"a person for a machine":     {hit(false).seen().judged(machine, "").scored(0), wrongs{torture.Lost: 1}},
		"judged and never recorded":  {hit(false).judged(human, ""), wrongs{torture.Lost: 1, torture.DupEffect: 1}},
		"in another lead's history":  {hit(true).of("lead2", torture.Fact{Kind: torture.Activity, ID: "t1/guide", Type: torture.Clicked, Hash: "h"}).judged(machine, "").of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageNurturing}), wrongs{torture.DupEffect: 1}},
		"nobody made it":             {newScene().seen().judged(machine, "").scored(0), wrongs{torture.DupEffect: 1}},
		"a machine's, and thanked":   {hit(true).seen().judged(machine, "").scored(0).tell(torture.Fact{Kind: torture.Touch, ID: "t2", Type: torture.Thanks, Status: torture.StatusFailed}), wrongs{torture.DupEffect: 1}},
		"a person's, and thanked":    {hit(false).seen().judged(human, "").scored(5).tell(torture.Fact{Kind: torture.Touch, ID: "t2", Type: torture.Thanks, Status: torture.StatusFailed}), wrongs{}},
		"one that was refused":       {newScene().sent("t1/guide", torture.Hit).answered("t1/guide", torture.Refused), wrongs{torture.Turned: 1}},
		"one that nobody heard of":   {newScene().sent("t1/guide", torture.Hit).answered("t1/guide", torture.Unknown), wrongs{}},
		"without an answer, in time": {newScene().write(torture.Line{Op: torture.OpSend, ID: "t1/guide", Lead: "lead1", Kind: torture.Hit, Hash: "h", Type: torture.Clicked}).seen().judged(human, "").scored(5), wrongs{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.scene.wrongs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// two are lead1, of person p1, and lead2, of person p2, who each looked at a page.
func two() *scene {
	s := newScene().sent("a", torture.Track).answered("a", torture.Acked)
	s.write(torture.Line{Op: torture.OpSend, ID: "b", Who: "p2", Kind: torture.Track, Type: torture.PageViewed, Hash: "h-b"}).answered("b", torture.Acked)
	return s.did("a").of("lead2", torture.Fact{Kind: torture.Activity, ID: "b", Type: torture.PageViewed, Hash: "h-b"})
}

// said writes that the two are one, or are not.
func (s *scene) said(what torture.Kind, status torture.Status) *scene {
	s.write(torture.Line{Op: torture.OpSend, ID: string(what), Kind: what, Lead: "lead1", From: "lead2"})
	return s.answered(string(what), status)
}

func (s *scene) frozen() *scene {
	return s.of("lead2", torture.Fact{Kind: torture.Frozen, Ref: "lead1", At: at(10)})
}

func (s *scene) merged() *scene {
	return s.frozen().tell(torture.Fact{Kind: torture.Merged, Ref: "lead2", At: at(10)})
}

func (s *scene) unmerged() *scene {
	return s.tell(torture.Fact{Kind: torture.Unmerged, Ref: "lead2", At: at(20)})
}

func (s *scene) restored() *scene {
	return s.of("lead2", torture.Fact{Kind: torture.Restored, Ref: "lead1", At: at(20)})
}

// whole says what the survivor has; two of them by itself what each has.
func (s *scene) whole(points float64) *scene {
	return s.of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageMerged}).scored(points).tell(torture.Fact{Kind: torture.Known, Points: points})
}

func (s *scene) apart(points float64) *scene {
	return s.scored(points).tell(torture.Fact{Kind: torture.Known, Points: points}).
		of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageNurturing, Points: 1}).of("lead2", torture.Fact{Kind: torture.Known, Points: 1})
}

// later is something lead2 did at the end, recorded where host says.
func (s *scene) later(host string) *scene {
	s.write(torture.Line{Op: torture.OpSend, ID: "c", Who: "p2", Kind: torture.Track, Type: torture.PageViewed, Hash: "h-c"}).answered("c", torture.Acked)
	return s.of("lead2", torture.Fact{Kind: torture.Activity, Host: host, ID: "c", Type: torture.PageViewed, Hash: "h-c"})
}

func TestWhoIsMergedIsOneAndWhoIsSeparatedIsNot(t *testing.T) {
	t.Parallel()
	merge := func() *scene { return two().said(torture.Merge, torture.Acked) }
	unmerge := func() *scene { return merge().merged().said(torture.Unmerge, torture.Acked) }
	for name, tt := range map[string]struct {
		scene *scene
		want  wrongs
	}{
		"merged":                            {merge().merged().whole(2), wrongs{}},
		"merged, no answer":                 {two().said(torture.Merge, torture.Unknown).merged().whole(2), wrongs{}},
		"not merged, no answer":             {two().said(torture.Merge, torture.Unknown).apart(1), wrongs{}},
		"refused":                           {two().said(torture.Merge, torture.Refused).apart(1), wrongs{torture.Turned: 1}},
		"acknowledged and not merged":       {merge().apart(1), wrongs{torture.Lost: 1}},
		"cut short":                         {merge().frozen().apart(1), wrongs{torture.Lost: 1, torture.Unaccounted: 1}},
		"merged by nobody":                  {two().merged().whole(2), wrongs{torture.DupEffect: 1}},
		"the other's points are gone":       {merge().merged().of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageMerged}).scored(1), wrongs{torture.Lost: 1}},
		"the other's history is gone":       {merge().merged().of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageMerged}).scored(2).tell(torture.Fact{Kind: torture.Known, Points: 1}), wrongs{torture.Lost: 1}},
		"scoring goes on with both":         {merge().merged().scored(2).of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageNurturing}), wrongs{torture.Unaccounted: 1}},
		"what comes later is told of it":    {merge().merged().later("lead1").whole(3), wrongs{}},
		"recorded about a merged lead":      {merge().merged().later("").whole(3), wrongs{torture.DupEffect: 1}},
		"separated":                         {unmerge().unmerged().restored().apart(1), wrongs{}},
		"acknowledged and not separated":    {unmerge().whole(2), wrongs{torture.Lost: 1}},
		"separated by nobody":               {merge().merged().unmerged().restored().apart(1), wrongs{torture.DupEffect: 1}},
		"separated and not restored":        {unmerge().unmerged().apart(1), wrongs{torture.Unaccounted: 1}},
		"the survivor keeps the points":     {unmerge().unmerged().restored().scored(2).of("lead2", torture.Fact{Kind: torture.Score, Status: torture.StageNurturing, Points: 1}), wrongs{torture.DupEffect: 1}},
		"the survivor keeps the history":    {unmerge().unmerged().restored().apart(1).tell(torture.Fact{Kind: torture.Known, Points: 2}), wrongs{torture.DupEffect: 1}},
		"the same person in two browsers":   {newScene().sent("a", torture.Track).sent("b", torture.Track).did("a").of("lead2", torture.Fact{Kind: torture.Activity, ID: "b", Type: torture.PageViewed, Hash: "h-b"}).merged().whole(2), wrongs{}},
		"the same person, and not joined":   {newScene().sent("a", torture.Track).sent("b", torture.Track).did("a").of("lead2", torture.Fact{Kind: torture.Activity, ID: "b", Type: torture.PageViewed, Hash: "h-b"}).apart(1), wrongs{torture.DupEffect: 1}},
		"who leaves it is with sales alone": {merge().merged().whole(2).tell(torture.Fact{Kind: torture.Handoff, Status: torture.StageAssigned}).tell(torture.Fact{Kind: torture.Delivery, ID: "d", Status: torture.StatusPending}), wrongs{torture.Unaccounted: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.scene.wrongs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// mailed lets a lead's first touch go out that was claimed at a second.
func (s *scene) mailed(lead string, second int) *scene {
	id := lead + "-t1"
	s.write(torture.Line{Op: torture.OpMail, ID: id, At: at(second + 1), Began: at(second + 1)})
	s.of(lead, torture.Fact{Kind: torture.Claim, ID: id, At: at(second)})
	return s.of(lead, torture.Fact{Kind: torture.Touch, ID: id, Ref: torture.Welcome, Type: "hello", Status: torture.StatusSent})
}

func TestAMergeMailsNobodyTwice(t *testing.T) {
	t.Parallel()
	agreed := func() *scene {
		s := newScene()
		s.write(torture.Line{Op: torture.OpSend, ID: "f", Kind: torture.Bad, Consent: true})
		return s.said(torture.Merge, torture.Acked).merged()
	}
	for name, tt := range map[string]struct {
		scene *scene
		want  wrongs
	}{
		"both before":                    {agreed().mailed("lead1", 5).mailed("lead2", 6), wrongs{}},
		"the survivor alone, after":      {agreed().mailed("lead1", 15), wrongs{}},
		"the survivor once more":         {agreed().mailed("lead2", 5).mailed("lead1", 15), wrongs{torture.DoubleSend: 1}},
		"the merged lead":                {agreed().mailed("lead2", 15), wrongs{torture.DupEffect: 1}},
		"the other one when it is again": {agreed().said(torture.Unmerge, torture.Acked).unmerged().restored().mailed("lead2", 25).mailed("lead1", 5), wrongs{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.scene.wrongs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
