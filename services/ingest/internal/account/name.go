package account

import (
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

// What names an account, as people read it.
const (
	// ByGroup: the source says which group the person is in.
	ByGroup = "group"
	// ByExternalID: the source says which company of another system it is.
	ByExternalID = "external_id"
	// ByEmail: the person has an address at the company's domain.
	ByEmail = "email"
	// ByDomain: the source names the company's domain.
	ByDomain = "domain"
	// ByWebsite: the person's website is the company's.
	ByWebsite = "website"
)

// Stated reports whether what names an account is a statement about it, which
// counts before what is concluded from a domain.
func Stated(by string) bool { return by == ByGroup || by == ByExternalID }

// Named is what an event tells of an account. The keys are those of Told,
// strongest first, with their values.
type Named struct {
	Told *ingestv1.AccountTold
	By   string
}

// Read says which account a normalised submission names, nil for none. Nobody
// who tries things out has one.
func Read(c *ingestv1.CaptureLeadRequest, rules *signal.Rules) *Named {
	p := c.GetProfile()
	if !told(c) || rules.Flags(p).GetTest() {
		return nil
	}
	n := &Named{Told: &ingestv1.AccountTold{Source: c.GetSource(), At: c.GetOccurredAt()}}
	add := func(kind ingestv1.AccountKey_Kind, by, source, value string) {
		if n.By == "" {
			n.By = by
		}
		n.Told.Keys = append(n.Told.Keys, &ingestv1.AccountKey{Kind: kind, Source: source, Value: value})
	}
	if c.GetGroupId() != "" {
		add(ingestv1.AccountKey_KIND_GROUP, ByGroup, c.GetSource(), c.GetGroupId())
	}
	for _, id := range c.GetCompany().GetExternalIds() {
		add(ingestv1.AccountKey_KIND_EXTERNAL_ID, ByExternalID, "", id)
	}
	domain, by := companyDomain(c.GetCompany(), rules), ByDomain
	company := c.GetCompany()
	if n.By == "" && domain == "" {
		domain, by = Domain(p, rules)
		company = nil // whose it is nobody says
	}
	if domain != "" {
		add(ingestv1.AccountKey_KIND_DOMAIN, by, "", domain)
	}
	if n.By == "" {
		return nil
	}
	if company != nil {
		n.Told.Company = &ingestv1.Company{
			Name: company.GetName(), Domain: domain, Website: siteOnly(company.GetWebsite()), Industry: company.GetIndustry(),
			Employees: company.GetEmployees(), Country: company.GetCountry(), Plan: company.GetPlan(), Attributes: company.GetAttributes(),
		}
	}
	return n
}

// told reports whether a submission says anything that could name an account.
// Most do not.
func told(c *ingestv1.CaptureLeadRequest) bool {
	p := c.GetProfile()
	return c.GetGroupId() != "" || c.GetCompany() != nil || p.GetEmail() != "" || p.GetCompanyDomain() != "" || p.GetWebsite() != ""
}

// Domain gives the domain of the company a person belongs to, and what says so;
// empty when nothing does. An address that several people read is nobody's, and
// a page at a site that everybody has pages at is no company's website.
func Domain(p *leadv1.Profile, rules *signal.Rules) (domain, by string) {
	local, at, _ := strings.Cut(p.GetEmail(), "@")
	email, site := normal.Registrable(at), normal.Site(p.GetWebsite())
	named := p.GetCompanyDomain()
	if named != email && named != site && named != "" && !normal.SharedSite(named) && rules.Company(named) {
		return named, ByDomain
	}
	if email != "" && !rules.Role(local) && rules.Company(email) {
		return email, ByEmail
	}
	if site != "" && !normal.SharedSite(site) && rules.Company(site) {
		return site, ByWebsite
	}
	return "", ""
}

// companyDomain gives the domain that a source tells of a company.
func companyDomain(c *ingestv1.Company, rules *signal.Rules) string {
	for _, d := range [...]string{c.GetDomain(), normal.Site(c.GetWebsite())} {
		if d != "" && !normal.SharedSite(d) && rules.Company(d) {
			return d
		}
	}
	return ""
}

// siteOnly is the address of a website without path and query.
func siteOnly(website string) string {
	host := normal.SiteHost(website)
	if host == "" {
		return ""
	}
	return "https://" + host
}

// Hide takes out of keys what looks like a person's, for the record: what is
// claimed is the hash of the whole.
func Hide(keys []*ingestv1.AccountKey) {
	for _, k := range keys {
		if k.GetKind() != ingestv1.AccountKey_KIND_DOMAIN && strings.Contains(k.GetValue(), "@") {
			k.Value = ""
		}
	}
}
