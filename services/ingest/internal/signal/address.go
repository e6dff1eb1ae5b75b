package signal

import (
	"strings"

	"google.golang.org/protobuf/proto"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// IsTest is the attribute by which a source says that a lead is a test.
const IsTest = "is_test"

// Flags say what is known of a person by the address and the company alone, and
// what the source said. Nil when nothing is.
func (r *Rules) Flags(p *leadv1.Profile) *leadv1.Flags {
	local, at, _ := strings.Cut(p.GetEmail(), "@")
	f := &leadv1.Flags{
		FreeMail: r.within(freeMail, at), Disposable: r.within(disposable, at), RoleAddress: r.Role(local),
		Test:       Yes(p.GetAttributes()[IsTest]) || r.lists[test][p.GetEmail()] || r.within(test, at),
		Competitor: r.within(competitors, at) || r.within(competitors, p.GetCompanyDomain()),
		OwnStaff:   r.within(ownStaff, at),
	}
	if proto.Equal(f, &leadv1.Flags{}) {
		return nil
	}
	return f
}

// within reports whether a domain, or one that it is below, is in a list.
func (r *Rules) within(l list, domain string) bool {
	names := r.lists[l]
	if domain == "" || len(names) == 0 {
		return false
	}
	for {
		if names[domain] {
			return true
		}
		_, above, ok := strings.Cut(domain, ".")
		if !ok {
			return false
		}
		domain = above
	}
}

// Company reports whether a domain can be that of a company that leads belong to:
// not one at which everybody can have an address, not our own, not one of tests.
func (r *Rules) Company(domain string) bool {
	return !r.within(freeMail, domain) && !r.within(disposable, domain) && !r.within(ownStaff, domain) && !r.within(test, domain)
}

// Role reports whether several people read what is sent to an address, by what
// stands before its @: info@, and info-de@ or info+news@ as well; admin.smith@ is
// a person.
func (r *Rules) Role(local string) bool {
	if r.lists[roles][local] {
		return true
	}
	i := strings.IndexAny(local, "+-")
	return i > 0 && r.lists[roles][local[:i]]
}

// Yes reports whether a text says yes, as sources write it.
func Yes(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1", "yes", "on":
		return true
	}
	return false
}

// builtin are the lists that everybody has.
func builtin() *Rules {
	return &Rules{
		Programs: words(programs), Proxies: words(proxies), Scanners: words(scannerNetworks), DataCentres: words(dataCentreNetworks),
		FreeMail: normal.FreeMailDomains(), Disposable: words(disposableDomains), Roles: words(roleWords),
		Test: []string{"nurture.test"}, // whose people are those of `nurture source test`
	}
}

func words(s string) []string { return strings.Fields(s) }
