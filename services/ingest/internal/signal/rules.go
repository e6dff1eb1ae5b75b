// Package signal tells people from machines: who opened and clicked, and whose
// an address is. It is pure: the same rules and the same evidence give the same
// verdict, today and when history is judged again.
package signal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Rules are what signals are judged by. They are whole: what is built in is in
// them, so that a later version of this program finds them as they were.
type Rules struct {
	// Version is the hash of Raw, which Decode reads.
	Version string `json:"-"`
	Raw     []byte `json:"-"`

	// Quarantine is how long an open or a click waits for its verdict, Remember
	// how long after it a later hit of the same mail may still overrule it.
	Quarantine time.Duration `json:"quarantine"`
	Remember   time.Duration `json:"remember"`

	// BurstLinks different links of one mail within BurstWithin: nobody reads so fast.
	BurstLinks  int           `json:"burst_links"`
	BurstWithin time.Duration `json:"burst_within"`
	// Instant after the mail was made nobody can have read it; until Soon nobody
	// reads it from a data centre, nor through a picture proxy until ProxySoon.
	Instant   time.Duration `json:"instant"`
	Soon      time.Duration `json:"soon"`
	ProxySoon time.Duration `json:"proxy_soon"`
	// TrapWithin is how close to the trap link a hit is by the same machine, and
	// KinWithin how close when agent and network are the same.
	TrapWithin time.Duration `json:"trap_within"`
	KinWithin  time.Duration `json:"kin_within"`
	// Crowd is the number of leads whose links one address follows at once.
	Crowd int `json:"crowd"`

	// Programs and Proxies are parts of user agents in lower case.
	Programs []string `json:"programs"`
	Proxies  []string `json:"proxies"`
	// Scanners are networks in which no person reads mail, DataCentres those in
	// which few do.
	Scanners    []string `json:"scanners"`
	DataCentres []string `json:"data_centres"`

	// What is known of addresses: domains, but for Roles, which are what stands
	// before the @, and Test, which has addresses as well.
	FreeMail    []string `json:"free_mail"`
	Disposable  []string `json:"disposable"`
	Roles       []string `json:"roles"`
	Competitors []string `json:"competitors"`
	OwnStaff    []string `json:"own_staff"`
	Test        []string `json:"test"`

	scanners, dataCentres []netip.Prefix
	lists                 map[list]map[string]bool
}

// list is one of the lists about addresses.
type list int

const (
	freeMail list = iota
	disposable
	roles
	competitors
	ownStaff
	test
)

// Decode reads rules as they were kept in Raw.
func Decode(raw []byte) (*Rules, error) {
	r := &Rules{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("read rules of signals: %w", err)
	}
	if err := r.seal(); err != nil {
		return nil, err
	}
	return r, nil
}

// seal sorts the lists, makes what is looked up fast, and gives the version.
func (r *Rules) seal() (err error) {
	for _, l := range r.all() {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	if r.scanners, err = prefixes(r.Scanners); err != nil {
		return err
	}
	if r.dataCentres, err = prefixes(r.DataCentres); err != nil {
		return err
	}
	r.lists = map[list]map[string]bool{
		freeMail: set(r.FreeMail), disposable: set(r.Disposable), roles: set(r.Roles),
		competitors: set(r.Competitors), ownStaff: set(r.OwnStaff), test: set(r.Test),
	}
	if r.Raw, err = json.Marshal(r); err != nil {
		return fmt.Errorf("write rules of signals: %w", err)
	}
	sum := sha256.Sum256(r.Raw)
	r.Version = hex.EncodeToString(sum[:12])
	return nil
}

func (r *Rules) all() []*[]string {
	return []*[]string{
		&r.Programs, &r.Proxies, &r.Scanners, &r.DataCentres,
		&r.FreeMail, &r.Disposable, &r.Roles, &r.Competitors, &r.OwnStaff, &r.Test,
	}
}

func prefixes(texts []string) ([]netip.Prefix, error) {
	nets := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			return nil, fmt.Errorf("read network %q: %w", t, err)
		}
		nets[i] = p.Masked()
	}
	return nets, nil
}

func set(words []string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// WithQuarantine is the same rules with another quarantine.
func (r *Rules) WithQuarantine(d time.Duration) (*Rules, error) {
	if d <= 0 || d == r.Quarantine {
		return r, nil
	}
	other, err := Decode(r.Raw)
	if err != nil {
		return nil, err
	}
	other.Quarantine = d
	return other, other.seal()
}
