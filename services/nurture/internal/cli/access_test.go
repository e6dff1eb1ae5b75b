package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/access"
)

func TestATokenIsMadeShownOnceListedAndRevoked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.yaml")
	run := func(args ...string) (string, error) {
		return call(t.Context(), append(append([]string{"access"}, args...), "--file", file)...)
	}
	out, err := run("create", "crm", "--role", "sales,read", "--expires", "2036-01-31")
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`nt_crm_[0-9a-f]{64}`).FindString(out)
	if token == "" {
		t.Fatalf("no token in %q", out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if _, err := run("create", "crm"); err != nil {
		t.Errorf("a second token: %v", err)
	}
	listed, err := run("list")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(listed, "sales,read") != 2 || !strings.Contains(listed, "through 2036-01-31") || !strings.Contains(listed, "until revoked") || strings.Contains(listed, token) {
		t.Errorf("listed:\n%s", listed)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "crm"}, "has 2 tokens already: revoke the old one first"},
		{[]string{"create", "new"}, "say what it may do, with --role"},
		{[]string{"create", "new", "--role", "boss"}, `unknown role "boss": use read, personal, send, sales, operate, admin`},
		{[]string{"create", "a b", "--role", "read"}, "expected a name of lower case letters"},
		{[]string{"create", "new", "--role", "read", "--expires", "soon"}, `expected a day like 2026-11-25, found "soon"`},
		{[]string{"revoke", "nobody"}, "nurture access list shows them"},
	} {
		if _, err := run(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
	if _, err := run("revoke", token[:len("nt_crm_1234")]); err != nil {
		t.Error(err)
	}
	if listed, err = run("list"); err != nil || strings.Count(listed, "nt_crm_") != 1 || strings.Contains(listed, "2036") {
		t.Errorf("after one was revoked: %v\n%s", err, listed)
	}
	if _, err := run("revoke", "crm"); err != nil {
		t.Error(err)
	}
	if listed, err = run("list"); err != nil || strings.Contains(listed, "crm") {
		t.Errorf("after the name was revoked: %v\n%s", err, listed)
	}
}

func TestTheRolesListEveryCallThatNeedsThem(t *testing.T) {
	out, err := call(t.Context(), "access", "roles")
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range access.Roles() {
		if !strings.Contains(out, "\n"+access.NameOf(role)+" ") && !strings.HasPrefix(out, access.NameOf(role)+" ") {
			t.Errorf("%s is missing in\n%s", access.NameOf(role), out)
		}
	}
	for _, call := range []string{"EraseLead", "JoinAccounts", "OpenWords", "ExplainScore", "Enroll", "Redeliver"} {
		if strings.Contains(out, "unspecified") || !strings.Contains(out, call) {
			t.Errorf("%s is missing in\n%s", call, out)
		}
	}
}
