// Package leadtest makes leads for tests as ingest's records show them to others.
package leadtest

import (
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// WithFacts gives a lead its facts, as in records that other services read.
func WithFacts(l *leadv1.Lead) *leadv1.Lead {
	l.Facts = Facts(l)
	return l
}

// Facts are what is known of a lead, with all its attributes.
func Facts(l *leadv1.Lead) *leadv1.Facts {
	p, flags := l.GetProfile(), l.GetFlags()
	f := &leadv1.Facts{
		HasEmail: p.GetEmail() != "", HasPhone: p.GetPhone() != "", HasName: p.GetFirstName()+p.GetLastName() != "",
		HasCompany: p.GetCompany()+p.GetCompanyDomain() != "", CompanyDomain: p.GetCompanyDomain(), JobTitle: p.GetJobTitle(),
		Country: p.GetCountry(), TimeZone: p.GetTimeZone(), Industry: p.GetIndustry(), Employees: p.GetEmployees(),
		Attributes: p.GetAttributes(), Language: p.GetLanguage(), Source: l.GetSource(), AccountId: l.GetAccountId(),
		Suppressed: l.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED, CreatedAt: l.GetCreatedAt(), LastSeenAt: l.GetLastSeenAt(),
		FreeMail: flags.GetFreeMail(), Test: flags.GetTest(), Competitor: flags.GetCompetitor(), OwnStaff: flags.GetOwnStaff(),
	}
	for _, c := range l.GetConsents() {
		if c.GetGranted() {
			f.Consents = append(f.Consents, c.GetPurpose())
		}
	}
	return f
}
