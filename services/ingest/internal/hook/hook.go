package hook

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Errors of Verify; all of them are answered 401.
var (
	// ErrUnsigned: the call carries no proof of who sent it.
	ErrUnsigned = errors.New("the signature is missing")
	// ErrForged: none of the source's live secrets gives this proof.
	ErrForged = errors.New("the signature does not fit")
	// ErrStale: it was signed too long ago, or in the future.
	ErrStale = errors.New("the signature's time is not now")
	// ErrUnavailable: what is needed to judge or to answer the call cannot be had
	// now. This one is answered 503, so that the sender comes again.
	ErrUnavailable = errors.New("not now")
)

// Tolerance is how far the time of a signature may be from the receive time.
const Tolerance = 5 * time.Minute

// Request is one call as it came, before anything in it is believed.
type Request struct {
	Method string
	// URL is absolute, as the sender signed it: the public address of ingest
	// with the path and query of the call.
	URL   string
	Query url.Values
	// Header has canonical names.
	Header http.Header
	// Body is as it was sent, after decompression.
	Body     []byte
	Received time.Time
}

// Dialect reads the webhooks of one kind of sender. Pure.
type Dialect interface {
	// Verify gives nil, or an error that wraps ErrUnsigned, ErrForged or
	// ErrStale. Every live secret of the source is tried, in constant time.
	Verify(req Request, src *source.Source) error
	// Read makes items of a verified request. An error means that the whole body
	// cannot be read.
	Read(req Request, src *source.Source) (Reading, error)
}

// Greeter is a Dialect whose sender asks, with a GET, whether this really is
// the address it was given.
type Greeter interface {
	// Greet answers the question. Its errors are those of Verify.
	Greet(req Request, src *source.Source) (*Answer, error)
}

// Setter is a Dialect with options of its own in sources.yaml.
type Setter interface {
	// Options are the names it knows, with what each means. A name that ends in
	// "." stands for all that begin with it.
	Options() map[string]string
}

// Asker is a Dialect whose sender tells only ids: what they stand for is asked
// for by ingest.
type Asker interface {
	// Base is where questions go unless the source's option base_url says otherwise.
	Base() string
	// Ask gives the questions whose answers Resolve needs.
	Ask(f *Fetch, src *source.Source) ([]Question, error)
	// Resolve makes an item of the answers, in the order of the questions. An
	// error means that the answers are not what was expected.
	Resolve(f *Fetch, answers [][]byte, src *source.Source) (Item, error)
	// Judge says what an answer other than 2xx means.
	Judge(status int, body []byte) Verdict
}

// Question is one GET.
type Question struct {
	// Path is added to the base address; it begins with a slash.
	Path  string
	Query url.Values
	// Header is sent besides the usual ones.
	Header http.Header
	// TokenParam names the query parameter that carries the access token; empty:
	// it goes into Authorization as a bearer token.
	TokenParam string
	// Optional: a definite "no" to it is an empty answer, not a failure.
	Optional bool
}

// Verdict is what a refusal means.
type Verdict struct {
	// Again: it may pass; the question is asked again later.
	Again bool
	// Token: the access token is the reason, so a person has to act.
	Token bool
	// Reason is shown to people; without personal data and secrets.
	Reason string
}

// Reading is what one call tells.
type Reading struct {
	Items []Item
	// Answer is a body the sender wants instead of the empty 2xx. Optional.
	Answer *Answer
}

// Answer is a body for the sender.
type Answer struct {
	ContentType string
	Body        []byte
}

// Item is one thing told: exactly one of Submission, Fetch and Sales, or none
// and Faults that say why it is not used. Faults beside a Submission name values
// that were left out of it.
type Item struct {
	// ID is the sender's own id of it, the dedupe key within the source.
	ID string
	// Submission is a lead or an activity. It goes through ingest's flow, and
	// the sender is answered when it is durable.
	Submission *person.Submission
	// Fetch: only an id was sent. It is kept durably and asked for by a worker.
	Fetch *Fetch
	// Sales is what a CRM did with a handoff. It is kept durably and told to
	// handoff by a worker.
	Sales *Sales
	// Faults are why the item is not used: it is parked as a reject of the source.
	Faults []normal.Fault
	// Ignored says why an item is rightly of no interest, e.g. "test": it is
	// counted and nothing else.
	Ignored string
	// Task is something a person has to do about the lead of the submission,
	// e.g. erase it. It is parked beside it. Optional.
	Task string
}

// Fetch is something of which a sender told only the id.
type Fetch = ingestv1.Fetch

// Sales is what a CRM told about a handoff.
type Sales = ingestv1.Sales

// Why an item is of no interest.
const (
	// IgnoredTest: the sender marked it as a test.
	IgnoredTest = "test"
	// IgnoredKind: an event of a kind that says nothing about a lead.
	IgnoredKind = "not_about_a_lead"
)

// Told is what a verified call told, with what is needed to read it again.
type Told struct {
	Source  *source.Source
	Request Request
	Items   []Item
	// Unreadable says why there are no items: the body as a whole is kept.
	Unreadable error
}
