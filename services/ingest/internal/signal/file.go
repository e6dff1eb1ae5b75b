package signal

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/config"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// File is signals.yaml. What it lists is added to what is built in.
type File struct {
	Quarantine time.Duration `yaml:"quarantine" help:"how long an open or a click waits for its verdict; default 10s"`
	Remember   time.Duration `yaml:"remember" help:"how long after its verdict a later hit of the same mail may overrule it; default 10m"`
	Clicks     ClicksSpec    `yaml:"clicks" help:"when an open or a click is a machine's"`
	Agents     AgentsSpec    `yaml:"agents" help:"parts of user agents"`
	Networks   NetworksSpec  `yaml:"networks" help:"networks like 203.0.113.0/24"`
	Addresses  AddressesSpec `yaml:"addresses" help:"what is known of leads by their address"`
}

// ClicksSpec is when an open or a click is a machine's.
type ClicksSpec struct {
	BurstLinks  int           `yaml:"burst_links" help:"so many different links of one mail within burst_within; default 3"`
	BurstWithin time.Duration `yaml:"burst_within" help:"default 2s"`
	Instant     time.Duration `yaml:"instant" help:"sooner after the mail was made nobody can have read it; default 2s"`
	Soon        time.Duration `yaml:"soon" help:"sooner after the mail was made nobody reads it from a data centre; default 1m"`
	ProxySoon   time.Duration `yaml:"proxy_soon" help:"sooner a picture proxy fetches ahead, and not for a reader; default 5s"`
	TrapWithin  time.Duration `yaml:"trap_within" help:"so close to a hit on the trap link everything is the same machine; default 10s"`
	KinWithin   time.Duration `yaml:"kin_within" help:"and so close when agent and network are the same; default 1m"`
	Crowd       int           `yaml:"crowd" help:"one address following links of so many leads within ten seconds; default 5"`
}

// AgentsSpec are parts of user agents, whatever their case.
type AgentsSpec struct {
	Programs []config.Text `yaml:"programs" help:"of programs: scanners, libraries, crawlers"`
	Proxies  []config.Text `yaml:"proxies" help:"of picture proxies that say who they are"`
}

// NetworksSpec are networks by who is in them.
type NetworksSpec struct {
	Scanners    []config.Text `yaml:"scanners" help:"nobody reads mail there: mail gateways"`
	DataCentres []config.Text `yaml:"data_centres" help:"few people read mail there: clouds and hosters"`
}

// AddressesSpec is what is known of leads by their address.
type AddressesSpec struct {
	Competitors []config.Text `yaml:"competitors" help:"domains whose people are never handed to sales"`
	OwnStaff    []config.Text `yaml:"own_staff" help:"your own domains: never counted, never handed to sales"`
	Test        []config.Text `yaml:"test" help:"domains and addresses of test leads: never counted, never handed to sales"`
	FreeMail    []config.Text `yaml:"free_mail" help:"more domains at which anybody can have an address"`
	Disposable  []config.Text `yaml:"disposable" help:"more domains of addresses that are thrown away"`
	Roles       []config.Text `yaml:"roles" help:"more words before the @ that several people read"`
}

// Builtin are the rules of who has no signals.yaml.
func Builtin() (*Rules, error) { return Parse("built in", nil) }

// Parse reads signals.yaml. Its errors name line, column and what was expected.
func Parse(file string, raw []byte) (*Rules, error) {
	f := defaults()
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return nil, err
	}
	rd := &reader{file: file}
	rd.durations(f)
	r := builtin()
	r.Quarantine, r.Remember = f.Quarantine, f.Remember
	c := f.Clicks
	r.BurstLinks, r.BurstWithin, r.Instant, r.Soon, r.ProxySoon = c.BurstLinks, c.BurstWithin, c.Instant, c.Soon, c.ProxySoon
	r.TrapWithin, r.KinWithin, r.Crowd = c.TrapWithin, c.KinWithin, c.Crowd
	rd.add(&r.Programs, f.Agents.Programs, agent)
	rd.add(&r.Proxies, f.Agents.Proxies, agent)
	rd.add(&r.Scanners, f.Networks.Scanners, network)
	rd.add(&r.DataCentres, f.Networks.DataCentres, network)
	a := f.Addresses
	rd.add(&r.Competitors, a.Competitors, domain)
	rd.add(&r.OwnStaff, a.OwnStaff, domain)
	rd.add(&r.Test, a.Test, domainOrAddress)
	rd.add(&r.FreeMail, a.FreeMail, domain)
	rd.add(&r.Disposable, a.Disposable, domain)
	rd.add(&r.Roles, a.Roles, role)
	if err := errors.Join(rd.errs...); err != nil {
		return nil, err
	}
	return r, r.seal()
}

func defaults() File {
	return File{
		Quarantine: 10 * time.Second, Remember: 10 * time.Minute,
		Clicks: ClicksSpec{
			BurstLinks: 3, BurstWithin: 2 * time.Second, Instant: 2 * time.Second, Soon: time.Minute, ProxySoon: 5 * time.Second,
			TrapWithin: 10 * time.Second, KinWithin: time.Minute, Crowd: 5,
		},
	}
}

// reader collects what is wrong with a file.
type reader struct {
	file string
	errs []error
}

func (rd *reader) fail(at config.Text, format string, args ...any) {
	rd.errs = append(rd.errs, config.Errorf(rd.file, at.Line, at.Column, format, args...))
}

func (rd *reader) durations(f File) {
	if f.Quarantine <= 0 || f.Quarantine > time.Hour {
		rd.fail(config.Text{}, "quarantine: expected a duration above zero and at most 1h, like 10s")
	}
	if f.Remember < 0 || f.Remember > 24*time.Hour {
		rd.fail(config.Text{}, "remember: expected a duration of at most 24h, like 10m")
	}
	c := f.Clicks
	for _, d := range []time.Duration{c.BurstWithin, c.Instant, c.Soon, c.ProxySoon, c.TrapWithin, c.KinWithin} {
		if d < 0 {
			rd.fail(config.Text{}, "clicks: expected durations of zero or more, like 2s; zero turns a rule off")
			break
		}
	}
	if c.BurstLinks < 2 || c.Crowd < 2 {
		rd.fail(config.Text{}, "clicks: burst_links and crowd are at least 2: one is what a person does")
	}
}

// add takes the entries of a list that can be read.
func (rd *reader) add(to *[]string, texts []config.Text, read func(string) (value, expected string)) {
	for _, t := range texts {
		value, expected := read(strings.ToLower(strings.TrimSpace(t.Value)))
		if expected != "" {
			rd.fail(t, "%q: expected %s", t.Value, expected)
			continue
		}
		*to = append(*to, value)
	}
}

func agent(s string) (value, expected string) {
	if len(s) < 3 {
		return "", "a part of a user agent of three letters or more, like linkcheck/"
	}
	return s, ""
}

func network(s string) (value, expected string) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", "a network like 203.0.113.0/24 or 2001:db8::/32"
	}
	if p.Addr().Is4() && p.Bits() > 24 || p.Addr().Is6() && p.Bits() > 48 {
		return "", "a network of /24 or larger, of IPv6 /48: that is as much of an address as is kept"
	}
	return p.Masked().String(), ""
}

func domain(s string) (value, expected string) {
	s = strings.TrimPrefix(s, "@")
	if normal.Registrable(s) == "" {
		return "", "a domain like rival.example"
	}
	return s, ""
}

func domainOrAddress(s string) (value, expected string) {
	local, at, ok := strings.Cut(s, "@")
	if !ok || local == "" {
		return domain(s)
	}
	if at, expected = domain(at); expected != "" {
		return "", "a domain like test.example or an address like qa@acme.example"
	}
	return local + "@" + at, ""
}

func role(s string) (value, expected string) {
	if s == "" || strings.ContainsAny(s, "@ ") {
		return "", "what stands before the @, like info"
	}
	return s, ""
}
