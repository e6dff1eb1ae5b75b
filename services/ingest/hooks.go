package ingest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/feed"
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// What became of the items of a call, for the metric.
const (
	itemRejected = "item_rejected"
	itemIgnored  = "item_ignored_"
	itemKept     = "item_kept_for_later"
)

// aboutHeader begins the names of headers in what a reject keeps about a call.
const aboutHeader = "header:"

// takeHook is the flow of a verified webhook: leads go through accept, what must
// be fetched or told to sales waits on INBOUND, and what cannot be used is kept
// as a reject. It returns after all of it is durable; an error means that the
// sender must send it again, and whatever was taken is known by its id then.
func (s *Service) takeHook(ctx context.Context, told hook.Told) error {
	_, err := s.hearHook(ctx, told)
	return err
}

// hearHook is takeHook, and gives what became of each submission, in order.
func (s *Service) hearHook(ctx context.Context, told hook.Told) ([]person.Outcome, error) {
	var faults []normal.Fault
	if told.Unreadable != nil {
		faults = []normal.Fault{{Message: told.Unreadable.Error()}}
	}
	for _, it := range told.Items {
		faults = append(faults, it.Faults...)
		if it.Ignored != "" {
			s.countHook(ctx, told.Source, itemIgnored+it.Ignored)
		}
	}
	if err := s.keep(ctx, told.Items); err != nil {
		return nil, classify(err)
	}
	outcomes, refused, err := s.acceptItems(ctx, told)
	if err != nil {
		return nil, err
	}
	return outcomes, s.rejectHook(ctx, told, append(faults, refused...))
}

// hookAgain reads a webhook that was kept as a reject by its source as that is
// now. What was taken of it before is known by its id.
func (s *Service) hookAgain(ctx context.Context, what reject.Rejected, src *source.Source, resp *ingestv1.RedriveRejectResponse) ([]normal.Fault, error) {
	if src.Kind != what.Kind {
		return []normal.Fault{{Field: "source", Message: fmt.Sprintf("%s is of kind %q now, and this was sent as %q: dismiss it", src.Name, src.Kind, what.Kind)}}, nil
	}
	read, err := s.dialects[what.Kind].Read(call(what), src)
	if err != nil {
		return []normal.Fault{{Message: err.Error()}}, nil //nolint:nilerr // shown to who asked
	}
	told := hook.Told{Source: src, Items: read.Items}
	var faults []normal.Fault
	for _, it := range told.Items {
		if it.Submission == nil {
			faults = append(faults, it.Faults...)
		}
	}
	if err := s.keep(ctx, told.Items); err != nil {
		return nil, classify(err)
	}
	outcomes, refused, err := s.acceptItems(ctx, told)
	if err != nil {
		return nil, err
	}
	for _, out := range outcomes {
		if out.Err == nil {
			note(resp, out)
		}
	}
	return append(faults, refused...), nil
}

// call is a webhook as its dialect read it when it came.
func call(what reject.Rejected) hook.Request {
	req := hook.Request{Method: http.MethodPost, Header: http.Header{}, Body: what.Raw, Received: what.At}
	req.Header.Set("Content-Type", what.ContentType)
	for name, value := range what.About {
		if name, ok := strings.CutPrefix(name, aboutHeader); ok {
			req.Header.Set(name, value)
		}
	}
	return req
}

// acceptItems brings the leads of a call through the flow, and gives those that
// are refused for good as faults.
func (s *Service) acceptItems(ctx context.Context, told hook.Told) ([]person.Outcome, []normal.Fault, error) {
	var subs []person.Submission
	var tasks []string
	for _, it := range told.Items {
		if it.Submission != nil {
			subs, tasks = append(subs, *it.Submission), append(tasks, it.Task)
		}
	}
	if len(subs) == 0 {
		return nil, nil, nil
	}
	var refused []normal.Fault
	outcomes := s.admit(ctx, subs)
	for i, out := range outcomes {
		switch {
		case out.Err == nil && tasks[i] != "" && !out.Duplicate:
			if err := s.task(ctx, told.Source, out.Lead, tasks[i]); err != nil {
				return nil, nil, classify(err)
			}
		case out.Err == nil:
		case feed.Passing(out.Err):
			return nil, nil, out.Err
		case rpc.Status(out.Err).Code() == codes.Internal:
			return nil, nil, out.Err
		default:
			refused = append(refused, normal.Fault{Field: "lead_id", Message: rpc.Status(out.Err).Message()})
		}
	}
	return outcomes, refused, nil
}

// keep stores durably what workers must do something about.
func (s *Service) keep(ctx context.Context, items []hook.Item) error {
	for _, it := range items {
		in, src, kind := &ingestv1.Inbound{}, "", ""
		switch {
		case it.Fetch != nil:
			in.Command, src, kind = &ingestv1.Inbound_Fetch{Fetch: it.Fetch}, it.Fetch.GetSource(), feed.KindFetch
		case it.Sales != nil:
			in.Command, src, kind = &ingestv1.Inbound_Sales{Sales: it.Sales}, it.Sales.GetSource(), feed.KindSales
		default:
			continue
		}
		data, err := proto.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode %s: %w", kind, err)
		}
		msg := &nats.Msg{Subject: bus.InboundSubject(src) + "." + kind, Data: data, Header: nats.Header{}}
		msg.Header.Set(feed.ContentType, feed.Protobuf)
		msg.Header.Set(jetstream.MsgIDHeader, "hook/"+src+"/"+it.ID)
		bus.Inject(ctx, msg.Header)
		if _, err := s.deps.Bus.Publish(ctx, msg); err != nil {
			return fmt.Errorf("keep %s of %s: %w", kind, src, err)
		}
		if named, ok := s.sources.Current().Named(src); ok {
			s.countHook(ctx, named, itemKept)
		}
	}
	return nil
}

// rejectHook keeps a call of which something was not used, whole: read again, what
// was taken of it is known by its id.
func (s *Service) rejectHook(ctx context.Context, told hook.Told, faults []normal.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	s.countHook(ctx, told.Source, itemRejected)
	reason := reject.Invalid
	if told.Unreadable != nil {
		reason = reject.Undecodable
	}
	about := map[string]string{}
	for name := range told.Request.Header {
		if readAgain(name) {
			about[aboutHeader+name] = told.Request.Header.Get(name)
		}
	}
	err := s.reject(ctx, reject.Rejected{
		Source: told.Source.Name, Kind: told.Source.Kind, Reason: reason, Faults: faults, Raw: told.Request.Body,
		ContentType: told.Request.Header.Get("Content-Type"), About: about, At: told.Request.Received,
	})
	if err != nil {
		return classify(err)
	}
	return nil
}

// readAgain reports whether a header is needed to read a call again: ids and
// attributes, never signatures and keys.
func readAgain(name string) bool {
	return strings.HasPrefix(name, "Ce-") || name == "Webhook-Id" || name == "Svix-Id"
}

// task leaves something for a person to do about a lead.
func (s *Service) task(ctx context.Context, src *source.Source, lead, what string) error {
	now := timestamppb.New(s.deps.Now())
	return s.deps.Bus.Park(ctx, &ledgerv1.Parked{
		Service: "ingest", LeadId: lead, Source: src.Name, Kind: src.Kind, Stream: bus.Inbound,
		Seq: uint64(s.deps.Now().UnixNano()), Subject: bus.InboundSubject(src.Name), //nolint:gosec // after 1970
		Reason: reasonErasure, Error: what, FirstAt: now, ParkedAt: now, MessageTime: now,
	})
}

// reasonErasure: a sender says that the person wants to be forgotten.
const reasonErasure = "erasure_requested"

func (s *Service) countHook(ctx context.Context, src *source.Source, result string) {
	s.metrics.hooks.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
		attribute.String("source", src.Name), attribute.String("kind", src.Kind), attribute.String("result", result))))
}

// checkHooks refuses a CRM whose words nobody would hear.
func (s *Service) checkHooks() error {
	for _, src := range s.sources.Current().All() {
		if src.Kind == "crm" && s.deps.Handoff == nil {
			return fmt.Errorf("source %s is of kind crm: set handoff_addr to the gRPC address of handoff, which must be told what it says", src.Name)
		}
	}
	return nil
}

// findExternal gives the lead that a source once captured under an id; empty
// when there is none.
func (s *Service) findExternal(ctx context.Context, src, id string) (string, error) {
	key := s.hasher.ExternalKey(src, id)
	leads, err := s.book.Find(ctx, []identity.Key{key}, false)
	if err != nil {
		return "", classify(err)
	}
	return leads[key], nil
}
