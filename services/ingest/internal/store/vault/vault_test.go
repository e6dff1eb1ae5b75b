package vault

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/fact"
)

func ring(t testing.TB, keys ...byte) *Ring {
	t.Helper()
	var raw [][]byte
	for _, k := range keys {
		raw = append(raw, bytes.Repeat([]byte{k}, KeySize))
	}
	r, err := NewRing(raw...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ann is a record full of what must not be read.
func ann(t testing.TB) *ledgerv1.Record {
	t.Helper()
	state := &ingestv1.State{
		Lead: &leadv1.Lead{
			LeadId: "l1", UserIds: []string{"canary-user"}, AnonymousIds: []string{"canary-anon"}, Activities: 3,
			Profile: &leadv1.Profile{
				Email: "canary@acme.example", Phone: "+4930901820", FirstName: "Canaryfirst", LastName: "Canarylast", Company: "Canary Corp",
				Attributes: map[string]string{"street": "Canary Road 1", "plan": "canary-plan"}, Country: "DE",
			},
			FirstTouch: &leadv1.Attribution{LandingPage: "https://x.example/?email=canary@acme.example", ClickIds: map[string]string{"gclid": "canary-click"}},
			Consents:   []*leadv1.Consent{{Purpose: "marketing_email", Granted: true, Ip: "192.0.2.77", UserAgent: "canary-agent", Text: "canary-words"}},
		},
		Emails: []string{"canary@acme.example"},
	}
	events := []*ingestv1.Event{
		{Fact: &ingestv1.Event_Captured{Captured: &ingestv1.Captured{ExternalId: "canary-external"}}},
		{Fact: &ingestv1.Event_Consent{Consent: state.Lead.Consents[0]}},
		{Fact: &ingestv1.Event_Activity{Activity: &leadv1.Activity{
			Id: "canary@acme.example/7", Type: "form_submitted", Properties: map[string]string{
				"message": "canary-message", "url": "https://x.example/p?email=canary%40acme.example", "who": "Canaryfirst",
				"user_agent": "canary-agent/1.0", "ip": "192.0.2.77", "clientIp": "192.0.2.77", "device_fingerprint": "canary-print",
				"form": "demo", "touch_id": "0193f0000000700080000000000000aa-t1",
			},
		}}},
	}
	rec := &ledgerv1.Record{Id: "r1", Version: 1, Causes: []*ledgerv1.Cause{{Kind: "capture", Id: "canary-id", Command: []byte("canary-command"), View: []byte("canary-view"), Reason: "captured", Events: 3}}}
	var err error
	if rec.State, err = deterministic.Marshal(state); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		raw, err := deterministic.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		rec.Events = append(rec.Events, raw)
	}
	return rec
}

// begin stores the data key of a new lead.
func begin(t *testing.T, v *Vault, lead string) {
	t.Helper()
	msg, settled, err := v.Born(lead)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.bus.Publish(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	settled(true)
}

func TestASealedRecordTellsNobodyWhoItIsAbout(t *testing.T) {
	v := New(bustest.New(t), ring(t, 1), fact.Builtin(), 10)
	whole := ann(t)
	s := &ledger.Sheet{Lead: "l1", Record: whole}
	v.Seal(t.Context(), []*ledger.Sheet{s})
	if s.Err != nil {
		t.Fatal(s.Err)
	}
	raw, err := proto.Marshal(s.Record)
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"canary", "4930901820", "192.0.2.77"} {
		if bytes.Contains(bytes.ToLower(raw), []byte(personal)) {
			t.Errorf("%q can be read in %v", personal, s.Record)
		}
	}
	state, click := &ingestv1.State{}, &ingestv1.Event{}
	if err := errors.Join(proto.Unmarshal(s.Record.GetState(), state), proto.Unmarshal(s.Record.GetEvents()[2], click)); err != nil {
		t.Fatal(err)
	}
	full := &ingestv1.State{}
	if err := proto.Unmarshal(whole.GetState(), full); err != nil {
		t.Fatal(err)
	}
	if got, want := state.GetLead().GetFacts(), fact.Builtin().Of(full.GetLead()); !proto.Equal(got, want) {
		t.Errorf("facts without the key %v, with it %v", got, want)
	}
	p := click.GetActivity().GetProperties()
	if p["form"] != "demo" || p["url"] != "https://x.example/p" || !strings.HasSuffix(p["touch_id"], "-t1") || len(p) != 3 {
		t.Errorf("conditions see %v", p)
	}
	v.Open(t.Context(), []*ledger.Sheet{s})
	if s.Err != nil || !proto.Equal(s.Record, whole) {
		t.Errorf("opened: %v, %v", s.Err, s.Record)
	}
}

func TestWhatOthersReadIsTheSameWhetherTheStateIsAtHandOrNot(t *testing.T) {
	v := New(bustest.New(t), ring(t, 1), fact.Builtin(), 10)
	state := &ingestv1.State{}
	if err := proto.Unmarshal(ann(t).GetState(), state); err != nil {
		t.Fatal(err)
	}
	before := proto.CloneOf(state)
	read, given := &ledger.Sheet{Lead: "l1", Record: ann(t)}, &ledger.Sheet{Lead: "l1", Record: ann(t), State: state}
	v.Seal(t.Context(), []*ledger.Sheet{read, given})
	if err := errors.Join(read.Err, given.Err); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.Record.GetState(), given.Record.GetState()) || !proto.Equal(state, before) {
		t.Errorf("read %x, given %x, the state was %v and is %v", read.Record.GetState(), given.Record.GetState(), before, state)
	}
}

func TestARecordOpensForItsLeadAlone(t *testing.T) {
	v := New(bustest.New(t), ring(t, 1), fact.Builtin(), 10)
	s := &ledger.Sheet{Lead: "l1", Record: ann(t)}
	v.Seal(t.Context(), []*ledger.Sheet{s})
	begin(t, v, "l2")
	other := &ledger.Sheet{Lead: "l2", Record: s.Record}
	none := &ledger.Sheet{Lead: "l3", Record: s.Record}
	changed := &ledger.Sheet{Lead: "l1", Record: proto.CloneOf(s.Record)}
	changed.Record.Id = "r2"
	v.Open(t.Context(), []*ledger.Sheet{other, none, changed})
	if other.Err == nil || changed.Err == nil || !errors.Is(none.Err, ledger.ErrForgotten) {
		t.Errorf("another lead: %v, another record: %v, no key: %v", other.Err, changed.Err, none.Err)
	}
}

func TestReplicasThatBeginALeadAtOnceUseOneKey(t *testing.T) {
	b := bustest.New(t)
	var all sync.WaitGroup
	sheets := make([]*ledger.Sheet, 8)
	for i := range sheets {
		sheets[i] = &ledger.Sheet{Lead: "l1", Record: ann(t)}
		all.Go(func() { New(b, ring(t, 1), fact.Builtin(), 10).Seal(t.Context(), []*ledger.Sheet{sheets[i]}) })
	}
	all.Wait()
	New(b, ring(t, 1), fact.Builtin(), 10).Open(t.Context(), sheets)
	for i, s := range sheets {
		if s.Err != nil {
			t.Errorf("%d: %v", i, s.Err)
		}
	}
}

func TestAFormerKeyOpensAndAnotherOneDoesNot(t *testing.T) {
	b := bustest.New(t)
	s := &ledger.Sheet{Lead: "l1", Record: ann(t)}
	New(b, ring(t, 1), fact.Builtin(), 10).Seal(t.Context(), []*ledger.Sheet{s})
	for _, tc := range []struct {
		name string
		ring *Ring
		err  error
	}{{"former key second", ring(t, 2, 1), nil}, {"another key", ring(t, 2), ErrNoKey}} {
		got := &ledger.Sheet{Lead: s.Lead, Record: s.Record}
		New(b, tc.ring, fact.Builtin(), 10).Open(t.Context(), []*ledger.Sheet{got})
		if !errors.Is(got.Err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.name, got.Err, tc.err)
		}
	}
}

func TestADestroyedKeyForgets(t *testing.T) {
	b := bustest.New(t)
	v := New(b, ring(t, 1), fact.Builtin(), 10)
	s := &ledger.Sheet{Lead: "l1", Record: ann(t)}
	v.Seal(t.Context(), []*ledger.Sheet{s})
	for range 2 { // twice is once
		if err := v.Destroy(t.Context(), "l1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []*Vault{v, New(b, ring(t, 1), fact.Builtin(), 10)} {
		opened := &ledger.Sheet{Lead: "l1", Record: s.Record}
		w.Open(t.Context(), []*ledger.Sheet{opened})
		sealed := &ledger.Sheet{Lead: "l1", Record: ann(t)}
		w.Seal(t.Context(), []*ledger.Sheet{sealed})
		if !errors.Is(opened.Err, ledger.ErrForgotten) || !errors.Is(sealed.Err, ledger.ErrForgotten) {
			t.Errorf("open: %v, seal: %v", opened.Err, sealed.Err)
		}
	}
	n := 0
	for _, err := range b.Read(t.Context(), bus.Leads, Subject("l1"), 1) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d messages on the key's subject, want the tombstone", n)
	}
}

func TestRewrappingLeavesEveryKeyInTheNewestOne(t *testing.T) {
	b := bustest.New(t)
	old := New(b, ring(t, 1), fact.Builtin(), 10)
	s := &ledger.Sheet{Lead: "l0", Record: ann(t)}
	old.Seal(t.Context(), []*ledger.Sheet{s})
	for i := range 20 {
		begin(t, old, fmt.Sprintf("l%d", i+1))
	}
	if err := old.Destroy(t.Context(), "l5"); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]uint64{{20, 0}, {0, 20}} {
		done, current, err := New(b, ring(t, 2, 1), fact.Builtin(), 10).Rewrap(t.Context())
		if err != nil || done != want[0] || current != want[1] {
			t.Errorf("rewrapped %d, current %d, %v; want %v", done, current, err, want)
		}
	}
	New(b, ring(t, 2), fact.Builtin(), 10).Open(t.Context(), []*ledger.Sheet{s})
	if s.Err != nil {
		t.Error(s.Err)
	}
}

// TestEveryFieldIsEitherPlainOrHidden fails when the language gets a field that
// nobody has judged: add it to plain.go if all services may read it, and to this
// list if not.
func TestEveryFieldIsEitherPlainOrHidden(t *testing.T) {
	hidden := map[protoreflect.FullName]bool{}
	for _, f := range strings.Fields(`
		State.emails Lead.profile Lead.user_ids Lead.anonymous_ids Lead.first_touch Lead.last_touch Lead.consents
		Part.times Part.emails Part.recent_ids Part.mails State.times State.joining State.leaving State.apart State.mails State.requests State.signals State.hits State.hits_total Activity.hit Activity.lead_id Lead.external_ids Lead.phones
		Consent.request_id Consent.requested_at Consent.proof Consent.by Consent.asked_at SuppressionLifted.reason SuppressionLifted.by
		Captured.external_id Consent.text Consent.text_version Consent.source Consent.source_url Consent.ip Consent.user_agent`) {
		hidden[protoreflect.FullName(f)] = true
	}
	state := filled((&ingestv1.State{}).ProtoReflect(), 0).Interface().(*ingestv1.State)
	judge(t, hidden, state.ProtoReflect(), PlainState(fact.Builtin(), state).ProtoReflect())
	judge(t, hidden, state.GetLead().ProtoReflect(), PlainState(fact.Builtin(), state).GetLead().ProtoReflect())
	part := PlainState(fact.Builtin(), state).GetParts()[0]
	judge(t, hidden, state.GetParts()[0].ProtoReflect(), part.ProtoReflect())
	if want := (&leadv1.Lead{LeadId: part.GetLead().GetLeadId()}); !proto.Equal(part.GetLead(), want) {
		t.Errorf("a part shows %v and should show %v", part.GetLead(), want)
	}
	facts := (&ingestv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("fact").Fields()
	for i := range facts.Len() {
		e := (&ingestv1.Event{}).ProtoReflect()
		e.Set(facts.Get(i), protoreflect.ValueOfMessage(filled(e.NewField(facts.Get(i)).Message(), 1)))
		plain := PlainEvent(fact.Builtin(), e.Interface().(*ingestv1.Event), nil).ProtoReflect()
		if !plain.Has(facts.Get(i)) {
			t.Errorf("PlainEvent does not know %s", facts.Get(i).FullName())
			continue
		}
		judge(t, hidden, e.Get(facts.Get(i)).Message(), plain.Get(facts.Get(i)).Message())
	}
}

func judge(t *testing.T, hidden map[protoreflect.FullName]bool, whole, plain protoreflect.Message) {
	t.Helper()
	fields := whole.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := f.Parent().Name() + "." + f.Name()
		if hides := hidden[protoreflect.FullName(name)]; hides == plain.Has(f) {
			t.Errorf("%s: hidden %t, in the plain record %t", name, hides, plain.Has(f))
		}
	}
}

// filled sets every field of a message, and of those in it.
func filled(m protoreflect.Message, depth int) protoreflect.Message {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("form").MapKey(), some(f.MapValue(), nil, depth))
		case f.IsList():
			list := m.Mutable(f).List()
			if f.Message() != nil {
				list.Append(protoreflect.ValueOfMessage(filled(list.NewElement().Message(), depth+1)))
			} else {
				list.Append(some(f, nil, depth))
			}
		default:
			m.Set(f, some(f, m, depth))
		}
	}
	return m
}

func some(f protoreflect.FieldDescriptor, in protoreflect.Message, depth int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{1})
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("x")
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	case protoreflect.MessageKind:
		if depth > 4 {
			return in.NewField(f)
		}
		return protoreflect.ValueOfMessage(filled(in.NewField(f).Message(), depth+1))
	default:
		return in.NewField(f)
	}
}

func BenchmarkSealARecord(b *testing.B) {
	v, whole := New(nil, ring(b, 1), fact.Builtin(), 10), ann(b)
	v.memory.put("l1", NewKey())
	b.ReportAllocs()
	for b.Loop() {
		s := &ledger.Sheet{Lead: "l1", Record: whole}
		v.Seal(b.Context(), []*ledger.Sheet{s})
		if s.Err != nil {
			b.Fatal(s.Err)
		}
	}
}

func BenchmarkOpenARecord(b *testing.B) {
	v := New(nil, ring(b, 1), fact.Builtin(), 10)
	v.memory.put("l1", NewKey())
	sealed := &ledger.Sheet{Lead: "l1", Record: ann(b)}
	v.Seal(b.Context(), []*ledger.Sheet{sealed})
	b.ReportAllocs()
	for b.Loop() {
		s := &ledger.Sheet{Lead: "l1", Record: sealed.Record}
		v.Open(b.Context(), []*ledger.Sheet{s})
		if s.Err != nil {
			b.Fatal(s.Err)
		}
	}
}
