package access_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/pkg/access"
)

const file = "access.yaml"

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// added enters a token and gives the file and the token.
func added(t *testing.T, raw []byte, e access.Entry) ([]byte, string) {
	t.Helper()
	token := access.Mint(e.Name)
	raw, err := access.Added(file, raw, e, token)
	if err != nil {
		t.Fatal(err)
	}
	return raw, token
}

func find(t *testing.T, raw []byte, token, on string) (string, error) {
	t.Helper()
	book, err := access.Parse(file, raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	h, err := book.Find(token, day(on))
	if err != nil {
		return "", err
	}
	return h.Name + " " + strings.Join(access.Names(h.Roles), ","), nil
}

func TestATokenIsInNoFileAndOpensWhatItsNameMay(t *testing.T) {
	raw, token := added(t, nil, access.Entry{Name: "grafana", Roles: []access.Role{access.Read}, Created: "2026-11-25"})
	raw, other := added(t, raw, access.Entry{Name: "crm", Roles: []access.Role{access.Sales, access.Personal}, Created: "2026-11-25"})
	if strings.Contains(string(raw), token[len("nt_grafana_1234"):]) {
		t.Fatalf("the file has the token:\n%s", raw)
	}
	for want, token := range map[string]string{"grafana read": token, "crm sales,personal": other} {
		if got, err := find(t, raw, token, "2036-01-01"); got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	for _, wrong := range []string{"", token + "0", strings.ToUpper(token), token[:len(token)-1], "nt_grafana_"} {
		if got, err := find(t, raw, wrong, "2026-11-25"); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("%q opens %q: %v", wrong, got, err)
		}
	}
}

func TestANameHasTwoTokensWhileOneFollowsTheOther(t *testing.T) {
	e := access.Entry{Name: "crm", Roles: []access.Role{access.Sales}, Created: "2026-11-25"}
	raw, old := added(t, nil, e)
	e.Roles = nil // it keeps its roles
	raw, fresh := added(t, raw, e)
	for _, token := range []string{old, fresh} {
		if got, err := find(t, raw, token, "2026-11-25"); got != "crm sales" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := access.Added(file, raw, e, access.Mint("crm")); err == nil || !strings.Contains(err.Error(), "crm has 2 tokens already: revoke the old one first") {
		t.Errorf("a third: %v", err)
	}
	raw, err := access.Revoked(file, raw, old[:len("nt_crm_1234")])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := find(t, raw, old, "2026-11-25"); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("the revoked one: %v", err)
	}
	if got, err := find(t, raw, fresh, "2026-11-25"); got != "crm sales" {
		t.Errorf("the other one: %q, %v", got, err)
	}
	if raw, err = access.Revoked(file, raw, "crm"); err != nil {
		t.Fatal(err)
	}
	if got, err := find(t, raw, fresh, "2026-11-25"); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("after the name was revoked it is %q: %v", got, err)
	}
	if _, err := access.Revoked(file, raw, "crm"); err == nil || !strings.Contains(err.Error(), `no name and no token's prefix is "crm"`) {
		t.Errorf("revoked again: %v", err)
	}
}

func TestATokenIsGoodThroughItsLastDay(t *testing.T) {
	raw, token := added(t, nil, access.Entry{Name: "audit", Roles: []access.Role{access.Personal}, Created: "2026-11-25", Expires: "2026-12-01"})
	if got, err := find(t, raw, token, "2026-12-01"); err != nil {
		t.Errorf("on the last day: %q, %v", got, err)
	}
	if _, err := find(t, raw, token, "2026-12-02"); !errors.Is(err, access.ErrExpired) {
		t.Errorf("the day after: %v", err)
	}
}

func TestWhatAPersonWroteStaysWhenATokenIsEntered(t *testing.T) {
	raw := []byte("# who may call us\naccess:\n  crm: # the sales people\n    roles: [sales]\n    tokens: []\n")
	raw, _ = added(t, raw, access.Entry{Name: "crm", Created: "2026-11-25"})
	for _, want := range []string{"# who may call us", "# the sales people"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%q is gone:\n%s", want, raw)
		}
	}
	if _, err := access.Added(file, raw, access.Entry{Name: "crm", Roles: []access.Role{access.Admin}}, "x"); err == nil {
		t.Error("a token changed the roles of its name")
	}
	if _, err := access.Added(file, raw, access.Entry{Name: "new"}, "x"); err == nil || !strings.Contains(err.Error(), "with --role") {
		t.Errorf("a name without roles: %v", err)
	}
}

func TestMistakesNameTheirPlaceAndWhatWasExpected(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for _, c := range []struct{ what, raw, want string }{
		{"role", "access:\n  crm:\n    roles: [sale]\n", "access.yaml:3:13: unknown role \"sale\" of crm: expected one of read, personal, send, sales, operate, admin"},
		{"no role", "access:\n  crm:\n    tokens: []\n", "crm has no roles: expected some of read"},
		{"name", "access:\n  \"a b\":\n    roles: [read]\n", "expected a name of lower case letters"},
		{"hash", "access:\n  crm:\n    roles: [read]\n    tokens: [{sha256: secret}]\n", "access.yaml:4:23: a token of crm: expected sha256 with 64 hex digits"},
		{"day", "access:\n  crm:\n    roles: [read]\n    tokens: [{sha256: " + sum + ", expires: tomorrow}]\n", "expected a day like 2026-11-25, found \"tomorrow\""},
		{"same", "access:\n  a:\n    roles: [read]\n    tokens: [{sha256: " + sum + "}]\n  b:\n    roles: [admin]\n    tokens: [{sha256: " + sum + "}]\n", "a and b have the same token"},
		{"three", "access:\n  a:\n    roles: [read]\n    tokens: [{sha256: " + sum + "}, {sha256: " + sum[2:] + "00}, {sha256: " + sum[2:] + "11}]\n", "a has 3 tokens: expected at most 2"},
		{"field", "access:\n  a:\n    role: [read]\n", "unknown field \"role\""},
	} {
		t.Run(c.what, func(t *testing.T) {
			if _, err := access.Parse(file, []byte(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestWhatEachRoleAllows(t *testing.T) {
	want := map[access.Role][]access.Role{
		access.Read:     {access.Read},
		access.Personal: {access.Read, access.Personal},
		access.Send:     {access.Send},
		access.Sales:    {access.Sales},
		access.Operate:  {access.Read, access.Sales, access.Operate},
		access.Admin:    access.Roles(),
	}
	for _, role := range access.Roles() {
		var allowed []access.Role
		for _, need := range access.Roles() {
			if access.Allows([]access.Role{role}, need) {
				allowed = append(allowed, need)
			}
		}
		if diff := cmp.Diff(want[role], allowed); diff != "" {
			t.Errorf("%s: %s", access.NameOf(role), diff)
		}
		if named, ok := access.RoleNamed(access.NameOf(role)); !ok || named != role {
			t.Errorf("%s is read as %v", access.NameOf(role), named)
		}
	}
	if access.Allows(nil, access.Read) || access.Allows(access.Roles()[:5], 0) {
		t.Error("no role, or all but admin, allow what nobody named")
	}
}
