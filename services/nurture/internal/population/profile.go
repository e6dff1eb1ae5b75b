package population

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// place is where somebody works: country, zone, and a phone number of a range
// that is kept for films, as a pattern for two digits.
type place struct{ country, zone, phone string }

// newProfile makes up a person at a made-up company. Addresses end in reserved
// names, so no mail can ever reach anybody.
func newProfile(d *rand.Rand, seed uint64, n int, r Readiness) Profile {
	first, last := pick(d, firstNames()), pick(d, lastNames())
	company := pick(d, companies())
	domain := strings.ToLower(strings.ReplaceAll(company, " ", "")) + ".example"
	where := pick(d, places())
	p := Profile{
		Email:     fmt.Sprintf("%s.%s.%d-%d@%s", strings.ToLower(first), strings.ToLower(last), seed, n, domain),
		FirstName: first, LastName: last, Company: company, Country: where.country, Zone: where.zone,
		Industry: pick(d, []string{"Manufacturing", "Software", "Logistics", "Health care", "Education"}),
	}
	// Whoever is ready has more often the say and the size; fit is no proof of it.
	seniority := d.Float64() + .15*float64(r)
	p.JobTitle = pick(d, juniorTitles())
	p.Employees = 5 + d.IntN(60)
	if seniority > .6 {
		p.JobTitle = pick(d, seniorTitles())
		p.Employees = 60 + d.IntN(900)
	}
	if d.Float64() < .4 || r == ReadyNow {
		p.Phone = fmt.Sprintf(where.phone, d.IntN(100))
	}
	return p
}

func pick[T any](d *rand.Rand, from []T) T { return from[d.IntN(len(from))] }

func firstNames() []string {
	return []string{"Ada", "Ben", "Carla", "Deniz", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lena", "Mara", "Nils", "Olga", "Pia", "Ravi", "Sofia", "Tomas", "Vera"}
}

func lastNames() []string {
	return []string{"Albers", "Brook", "Castell", "Dorn", "Ekman", "Fable", "Grove", "Hollow", "Iversen", "Juniper", "Kestrel", "Lind", "Marsh", "Norden", "Oakley", "Penrose", "Quill", "Rowan", "Sable", "Thorn"}
}

func companies() []string {
	return []string{"Alder Works", "Birch Freight", "Cedar Clinics", "Dune Robotics", "Elm Learning", "Fern Foods", "Granite Tools", "Harbor Data", "Iris Optics", "Juno Textiles", "Kelp Energy", "Larch Build", "Moss Finance", "Nimbus Print", "Oak Mobility"}
}

func seniorTitles() []string {
	return []string{"Head of Marketing", "VP Sales", "Chief Operating Officer", "Director of Operations", "Marketing Director"}
}

func juniorTitles() []string {
	return []string{"Student", "Marketing Assistant", "Analyst", "Office Manager", "Consultant"}
}

func places() []place {
	return []place{
		{"DE", "Europe/Berlin", "+4930231251%02d"},
		{"FR", "Europe/Paris", "+331990001%02d"},
		{"GB", "Europe/London", "+4420794601%02d"},
		{"US", "America/New_York", "+121255501%02d"},
		{"US", "America/Los_Angeles", "+131055501%02d"},
		{"IN", "Asia/Kolkata", "+9122255501%02d"},
		{"SE", "Europe/Stockholm", "+468465004%02d"},
	}
}
