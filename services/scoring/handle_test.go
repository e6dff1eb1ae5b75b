package scoring

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/services/scoring/internal/model"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

func TestALeadWarmsUpAndIsWon(t *testing.T) {
	l := newLife(t)
	l.ingest("form", captured(), did("form_submitted", l.now))
	l.waits(day)
	l.does("page_viewed", "path", "/pricing")
	l.does("email_opened")
	l.does("page_viewed", "path", "/blog")
	l.waits(day)
	l.does("email_clicked")
	l.does("page_viewed", "path", "/pricing")
	l.does("page_viewed", "path", "/pricing")
	l.waits(time.Hour)
	l.sales("assigned", assigned())
	l.waits(60 * day) // points neither give nor take a lead that sales has
	l.sales("accepted", accepted())
	l.sales("confirmed", outcome(handoffv1.Outcome_OUTCOME_SALES_QUALIFIED))
	l.sales("won", outcome(handoffv1.Outcome_OUTCOME_WON))
	l.does("page_viewed", "path", "/pricing")
	l.golden("warms_up_and_is_won")
}

func TestALeadThatAsksForADemoIsReadyAtOnce(t *testing.T) {
	l := newLife(t)
	l.person.Profile.Employees = 3
	l.ingest("demo form", captured(), did("demo_requested", l.now))
	l.waits(30 * day) // nothing fades: it waits for an answer
	l.sales("assigned", assigned())
	l.does("demo_requested")
	l.sales("accepted", accepted())
	l.golden("asks_for_a_demo")
}

func TestInterestThatNobodyTakesUpFades(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	l.does("page_viewed", "path", "/pricing")
	l.does("page_viewed", "path", "/pricing")
	l.waits(day)
	l.does("page_viewed", "path", "/pricing")
	l.does("email_clicked")
	l.waits(60 * day)
	l.golden("fades")
}

func TestARejectedLeadDoesNotComeBackOnTheSameEvidence(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	for range 2 {
		l.does("page_viewed", "path", "/pricing")
		l.does("email_clicked")
	}
	l.sales("assigned", assigned())
	l.waits(time.Hour)
	l.sales("rejected", rejected()...)
	l.does("email_clicked")
	l.ingest("late demo", did("demo_requested", birth))
	l.waits(25 * time.Hour)
	l.does("page_viewed", "path", "/pricing")
	l.does("page_viewed", "path", "/pricing")
	l.golden("comes_back")
}

func TestASuppressedLeadIsNotHandedOver(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	l.does("page_viewed", "path", "/pricing")
	l.person.Suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
	l.ingest("unsubscribes", &ingestv1.Event{Fact: &ingestv1.Event_Suppressed{Suppressed: &ingestv1.Suppressed{}}})
	l.does("page_viewed", "path", "/pricing")
	l.does("email_clicked")
	l.does("demo_requested")
	l.waits(time.Hour)
	l.person.Suppression = leadv1.Suppression_SUPPRESSION_UNSPECIFIED
	l.ingest("subscribes again", &ingestv1.Event{Fact: &ingestv1.Event_Consent{Consent: &leadv1.Consent{Purpose: "marketing_email", Granted: true}}})
	l.golden("suppressed")
}

func TestTheProfileMovesTheLine(t *testing.T) {
	l := newLife(t)
	l.person.Profile.Employees = 0
	l.ingest("import", captured())
	for range 3 {
		l.does("page_viewed", "path", "/pricing")
		l.does("email_clicked")
	}
	l.ingest("nothing new", identified())
	l.person.Profile.Employees, l.person.Profile.Country = 500, "DE"
	l.ingest("tells its size", identified())
	l.golden("profile")
}

func TestWhatAMachineDidDoesNotCount(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	click := did("email_clicked", l.now)
	click.GetActivity().Machine = true
	demo := did("demo_requested", l.now)
	demo.GetActivity().Machine = true
	l.ingest("scanner", click, demo)
	if len(l.told) != 0 || len(l.state.GetCounters()) != 0 || l.state.GetFastTrackRule() != "" {
		t.Fatalf("counted: %v", l.state)
	}
}

func TestALateActivityFadesAsIfItHadComeInTime(t *testing.T) {
	inTime, late := newLife(t), newLife(t)
	for _, l := range []*life{inTime, late} {
		l.ingest("import", captured())
	}
	inTime.does("email_clicked")
	inTime.waits(7 * day)
	inTime.does("email_clicked")
	late.waits(7 * day)
	late.does("email_clicked")
	late.ingest("late click", did("email_clicked", birth))
	if a, b := inTime.state.GetScore().GetBehaviour(), late.state.GetScore().GetBehaviour(); a != 18 || b != 18 {
		t.Fatalf("in time %v, late %v", a, b)
	}
}

func TestAnActivityFromTheFutureCountsNow(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	l.ingest("fast clock", did("email_clicked", l.now.Add(90*day)))
	if got := l.state.GetScore().GetBehaviour(); got != 12 {
		t.Fatalf("behaviour %v", got)
	}
}

func TestAnotherModelJudgesTheProfileAnew(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	l.does("page_viewed", "path", "/blog")
	other := *l.folder.model
	other.Version = "test@another"
	other.FitBands = [2]float64{20, 10}
	l.folder = folder{&other}
	l.ingest("blog", did("email_opened", l.now))
	sc := l.state.GetScore()
	if sc.GetModel() != "test@another" || sc.GetGrade() != "A4" {
		t.Fatalf("model %s, grade %s", sc.GetModel(), sc.GetGrade())
	}
}

func TestALeadThatSalesTookFirstIsNotHandedOverAgain(t *testing.T) {
	l := newLife(t)
	l.sales("assigned", assigned())
	l.ingest("import", captured(), did("demo_requested", l.now))
	if l.state.GetScore().GetStage() != leadv1.Stage_STAGE_ASSIGNED {
		t.Fatalf("stage %v", l.state.GetScore().GetStage())
	}
	for _, e := range l.told {
		if e.GetQualified() != nil {
			t.Fatal("handed over twice")
		}
	}
}

func TestTheVerdictOfSalesIsKeptWithTheScoreOfItsMoment(t *testing.T) {
	l := newLife(t)
	l.ingest("demo form", captured(), did("demo_requested", l.now), did("email_clicked", l.now))
	l.sales("assigned", assigned())
	l.waits(7 * day)
	l.sales("lost", outcome(handoffv1.Outcome_OUTCOME_LOST))
	var answer *scoringv1.Answered
	for _, e := range l.told {
		if e.GetAnswered() != nil {
			answer = e.GetAnswered()
		}
	}
	if answer.GetStage() != leadv1.Stage_STAGE_LOST || answer.GetAmountMinor() != 120_000 || answer.GetScore().GetBehaviour() != 6 {
		t.Fatalf("answer %v", answer)
	}
	if l.state.GetAnswers().GetLost() != 1 {
		t.Fatalf("answers %v", l.state.GetAnswers())
	}
	l.does("demo_requested") // a lost lead that asks again is ready again
	if sc := l.state.GetScore(); sc.GetStage() != leadv1.Stage_STAGE_QUALIFIED || !sc.GetFastTrack() {
		t.Fatalf("score %v", sc)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	f := folder{testModel(t)}
	for name, data := range map[string][]byte{
		"record": {0xff, 0xff},
		"event":  mustMarshal(t, recordWith([]byte{0xff, 0xff})),
	} {
		for _, stream := range []string{bus.Leads, bus.Handoff} {
			_, err := f.fold(&scoringv1.State{}, ledger.Input{Stream: stream, Kind: bus.KindState, Data: data}, birth)
			if err == nil || ledger.IsTransient(err) {
				t.Errorf("%s of %s: %v", name, stream, err)
			}
		}
	}
}

func TestTheSameInputsGiveTheSameBytes(t *testing.T) {
	run := func() []byte {
		l := newLife(t)
		l.ingest("import", captured(), did("email_clicked", l.now), did("page_viewed", l.now, "path", "/pricing"))
		l.waits(10 * day)
		l.sales("rejected", rejected()...)
		l.waits(10 * day)
		return append(mustMarshal(t, l.state), l.script.String()...)
	}
	first, second := run(), run()
	if diff := cmp.Diff(string(first), string(second)); diff != "" {
		t.Fatal(diff)
	}
}

func TestTheStateOfABusyLeadStaysSmall(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	for i := range 2000 {
		l.now = l.now.Add(time.Minute)
		l.ingest("busy", did([]string{"page_viewed", "email_clicked", "email_opened"}[i%3], l.now, "path", "/pricing"))
	}
	if n := len(mustMarshal(t, l.state)); n > 600 {
		t.Fatalf("the state is %d bytes", n)
	}
}

func BenchmarkFold(b *testing.B) {
	raw, err := model.Parse("model.yaml", mustRead(b, "../../deploy/example/model.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	l := newLife(b)
	l.folder = folder{raw}
	l.ingest("import", captured())
	now := l.now
	data := make([][]byte, 64)
	for i := range data {
		kind := []string{"page_viewed", "email_clicked", "page_viewed", "form_submitted"}[i%4]
		e := did(kind, now, "path", []string{"/pricing", "/blog"}[i%2])
		e.OccurredAt = timestamppb.New(now)
		data[i] = recordOf(b, &ingestv1.State{Lead: leadtest.WithFacts(l.person)}, e)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		now = now.Add(30 * time.Second)
		in := ledger.Input{Lead: "lead-1", Stream: bus.Leads, Kind: bus.KindState, Data: data[i%len(data)], Time: now}
		ch, err := l.folder.fold(l.state, in, now)
		if err != nil {
			b.Fatal(err)
		}
		if !ch.Same {
			mustMarshal(b, ch.State)
			for _, e := range ch.Events {
				mustMarshal(b, e)
			}
		}
	}
}

func TestPointsDoNotTakeALeadFromARepWhoHasNotYetGivenItBackWhole(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	l.sales("assigned", assigned())
	l.sales("rejected", rejected()[:1]...)
	l.waits(2 * day)
	for range 3 {
		l.does("page_viewed", "path", "/pricing")
		l.does("email_clicked")
	}
	if sc := l.state.GetScore(); sc.GetStage() != leadv1.Stage_STAGE_REJECTED || sc.GetQualified() {
		t.Fatalf("score %v", sc)
	}
}
