package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// leadLine is a lead as a row.
type leadLine struct {
	LeadID        string     `parquet:"lead_id"`
	Email         string     `parquet:"email"`
	Phone         string     `parquet:"phone"`
	FirstName     string     `parquet:"first_name"`
	LastName      string     `parquet:"last_name"`
	Company       string     `parquet:"company"`
	CompanyDomain string     `parquet:"company_domain"`
	AccountID     string     `parquet:"account_id"`
	AccountBy     string     `parquet:"account_by"`
	JobTitle      string     `parquet:"job_title"`
	Country       string     `parquet:"country"`
	Language      string     `parquet:"language"`
	TimeZone      string     `parquet:"time_zone"`
	Industry      string     `parquet:"industry"`
	Employees     *int64     `parquet:"employees,optional"`
	Website       string     `parquet:"website"`
	Source        string     `parquet:"source"`
	UtmSource     string     `parquet:"first_utm_source"`
	UtmMedium     string     `parquet:"first_utm_medium"`
	UtmCampaign   string     `parquet:"first_utm_campaign"`
	LastSource    string     `parquet:"last_utm_source"`
	LastCampaign  string     `parquet:"last_utm_campaign"`
	Consents      string     `parquet:"consents"`
	Suppression   string     `parquet:"suppression"`
	Activities    int64      `parquet:"activities"`
	CreatedAt     *time.Time `parquet:"created_at,optional"`
	UpdatedAt     *time.Time `parquet:"updated_at,optional"`
	LastSeenAt    *time.Time `parquet:"last_seen_at,optional"`
	Attributes    string     `parquet:"attributes"`
}

func leadLineOf(m *ingestv1.ExportLeadsResponse) (leadLine, error) {
	l, p := m.GetLead(), m.GetLead().GetProfile()
	more := []byte{}
	if len(p.GetAttributes()) > 0 {
		var err error
		if more, err = json.Marshal(p.GetAttributes()); err != nil { // sorted by name
			return leadLine{}, fmt.Errorf("encode attributes: %w", err)
		}
	}
	return leadLine{
		LeadID: l.GetLeadId(), Email: p.GetEmail(), Phone: p.GetPhone(), FirstName: p.GetFirstName(), LastName: p.GetLastName(),
		Company: p.GetCompany(), CompanyDomain: p.GetCompanyDomain(), AccountID: l.GetAccountId(), AccountBy: l.GetAccountBy(), JobTitle: p.GetJobTitle(), Country: p.GetCountry(),
		Language: p.GetLanguage(), TimeZone: p.GetTimeZone(), Industry: p.GetIndustry(), Employees: known(p.GetEmployees()), Website: p.GetWebsite(),
		Source: l.GetSource(), UtmSource: l.GetFirstTouch().GetUtmSource(), UtmMedium: l.GetFirstTouch().GetUtmMedium(),
		UtmCampaign: l.GetFirstTouch().GetUtmCampaign(), LastSource: l.GetLastTouch().GetUtmSource(), LastCampaign: l.GetLastTouch().GetUtmCampaign(),
		Consents: answers(l.GetConsents()), Suppression: suppression(l.GetSuppression()), Activities: int64(l.GetActivities()), //nolint:gosec // a count
		CreatedAt: timeOf(l.GetCreatedAt()), UpdatedAt: timeOf(l.GetUpdatedAt()), LastSeenAt: timeOf(l.GetLastSeenAt()), Attributes: string(more),
	}, nil
}

// known is a number that is 0 when nobody said it; then there is none.
func known(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// answers lists purposes as marketing_email=yes; events=no; news=unconfirmed.
func answers(consents []*leadv1.Consent) string {
	list := make([]string, len(consents))
	for i, c := range consents {
		list[i] = c.GetPurpose() + "=" + yes(c.GetPending(), "unconfirmed", yes(c.GetGranted(), "yes", "no"))
	}
	return strings.Join(list, "; ")
}

func suppression(s leadv1.Suppression) string {
	if s == leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "SUPPRESSION_"))
}

func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// eventLine is one fact as a row.
type eventLine struct {
	Seq        int64      `parquet:"seq"`
	LeadID     string     `parquet:"lead_id"`
	OccurredAt *time.Time `parquet:"occurred_at,optional"`
	RecordedAt *time.Time `parquet:"recorded_at,optional"`
	Fact       string     `parquet:"fact"`
	Activity   string     `parquet:"activity"`
	Source     string     `parquet:"source"`
	Machine    bool       `parquet:"machine"`
	Details    string     `parquet:"details"`
}

func eventLineOf(m *ingestv1.ExportEventsResponse) (eventLine, error) {
	e := m.GetEvent()
	line := eventLine{
		Seq: int64(m.GetSeq()), LeadID: m.GetLeadId(), //nolint:gosec // a place in the log
		OccurredAt: timeOf(e.GetOccurredAt()), RecordedAt: timeOf(m.GetRecordedAt()), Source: e.GetSource(),
	}
	r := e.ProtoReflect()
	field := r.WhichOneof(r.Descriptor().Oneofs().ByName("fact"))
	if field == nil {
		return line, nil
	}
	line.Fact = string(field.Name())
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r.Get(field).Message().Interface())
	if a := e.GetActivity(); a != nil {
		line.Activity, line.Machine = a.GetType(), a.GetMachine()
		raw, err = json.Marshal(a.GetProperties())
	}
	if a := e.GetJudged().GetActivity(); a != nil {
		line.Activity, line.Machine = a.GetType(), a.GetMachine()
	}
	if err != nil {
		return line, fmt.Errorf("encode details of %d: %w", m.GetSeq(), err)
	}
	var details bytes.Buffer // without the blanks that protojson puts in at random
	if err := json.Compact(&details, raw); err != nil {
		return line, fmt.Errorf("encode details of %d: %w", m.GetSeq(), err)
	}
	line.Details = details.String()
	return line, nil
}
