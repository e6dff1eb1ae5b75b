package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// page is a page of docs/howto and what its reader has besides.
type page struct {
	// files are what the reader has of their own.
	files map[string]string
	// before is what happened before the reader came to the page.
	before []promise
	// fill says what the reader puts in place of a placeholder: what was printed
	// last and matches the pattern, or its group.
	fill map[string]string
	// left are the blocks that cannot be tried here, by how they begin, and why.
	left map[string]string
	// first is what is waited for before a block is typed, by how it begins:
	// people are slower than this test.
	first map[string]promise
	// says must have been printed when the page was followed, then is what is
	// seen afterwards.
	says []string
	then []promise
}

// promise is a command and what it prints.
type promise struct {
	command string
	says    []string
}

// idle are the languages of blocks in which nobody types anything, and why they
// are only read.
func idle() map[string]string {
	return map[string]string{
		"conf": "belongs to another program",
		"html": "goes into the pages of a website; what its browser sends is tried with curl",
		"js":   "needs libraries of npm; ingest's tests run the real ones against it",
	}
}

// pages are the pages that are followed.
func pages() map[string]page {
	all := mailPages()
	for name, p := range map[string]page{
		"connect-cloudevents": {
			says: []string{"HTTP/1.1 200", "a new lead"},
			then: []promise{{"nurture lead show jo@acme.example", []string{"demo_requested"}}},
		},
		"connect-crm": {
			before: []promise{
				{demo, []string{"lead_id"}},
				{"nurture lead show jo@acme.example", []string{"assigned"}},
			},
			fill: map[string]string{"<lead id>": leadID},
			says: []string{"handoff would be told: accepted", "HTTP/1.1 200"},
			then: []promise{{"nurture lead show jo@acme.example", []string{"recycled", "no budget"}}},
		},
		"connect-forms": {
			then: []promise{
				{"nurture rejects list", []string{"a field that people do not see was filled in"}},
				{"nurture lead show jo@acme.example", []string{"form_submitted", "Doe"}},
			},
		},
		"connect-google-ads": {
			says: []string{"a new lead", "demo_requested", "marketing_email, granted true"},
			then: []promise{
				{`curl -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/v1/hooks/ads -H 'content-type: application/json' -d "{\"lead_id\":\"t\",\"google_key\":\"$ADS_SECRET\",\"is_test\":true,\"user_column_data\":[{\"column_id\":\"EMAIL\",\"string_value\":\"test@acme.example\"}]}"`, []string{"200"}},
				{"! nurture lead find test@acme.example", []string{"nobody has this address"}},
			},
		},
		"connect-hubspot": {says: []string{"a new lead", "Source"}},
		"connect-linkedin": {
			says: []string{"the lead would be asked for"},
			then: []promise{{"curl 'http://127.0.0.1:8080/v1/hooks/linkedin?applicationId=1&challengeCode=c1'", []string{`"challengeCode":"c1"`, "challengeResponse"}}},
		},
		"connect-meta": {
			says: []string{"the lead would be asked for"},
			then: []promise{
				{`curl -G http://127.0.0.1:8080/v1/hooks/meta -d hub.mode=subscribe -d hub.challenge=c1 --data-urlencode "hub.verify_token=$META_VERIFY_TOKEN"`, []string{"c1"}},
				{"! curl -G http://127.0.0.1:8080/v1/hooks/meta -d hub.mode=subscribe -d hub.challenge=c1 -d hub.verify_token=other", []string{"401"}},
			},
		},
		"connect-posthog": {then: []promise{{"nurture lead show sam@acme.example", []string{"demo_requested"}}}},
		"connect-rudderstack": {
			left: map[string]string{"$ npm install": npm, "$ node send.js": npm},
			then: []promise{
				{`curl 'http://127.0.0.1:8080/beacon/v1/batch?writeKey=website-write-key' -d '{"batch":[{"type":"identify","messageId":"1","userId":"u2","traits":{"email":"kim@acme.example"}}]}'`, []string{`"accepted":1`}},
				{"curl 'http://127.0.0.1:8080/sourceConfig?writeKey=website-write-key'", []string{`"destinations":[]`}},
			},
		},
		"connect-segment": {
			fill: map[string]string{"<the 64 digits>": `\b[0-9a-f]{64}\b`},
			then: []promise{
				{"nurture lead show jo@acme.example", []string{"demo_requested"}},
				{`nurture source test website --key "$KEY"`, []string{`"accepted":2`, "recorded"}},
			},
		},
		"connect-typeform": {
			says: []string{"a new lead", "Example", "marketing_email, granted true"},
		},
		"connect-webhook": {
			files: map[string]string{"message.json": `{"event":"fair.visited","contact":{"mail":"kim@acme.example","names":["Kim","Doe"]}}`},
			says:  []string{"a new lead", "demo_requested", "only read, nothing was recorded", "HTTP/1.1 200"},
			then: []promise{
				{"nurture lead show jo@acme.example", []string{"demo_requested"}},
				{"nurture lead show kim@acme.example", []string{"form_submitted", "Kim"}},
			},
		},
		"sources": {
			before: []promise{{"nurture source create partner --kind webhook", []string{"PARTNER_SECRET"}}},
			files:  map[string]string{"order.json": `{"email":"jo@acme.example"}`},
			fill:   map[string]string{"nk_shop_...": `nk_shop_[0-9a-f]{40}`},
			left:   map[string]string{"nurture rejects list --source shop": "each line is about a reject in another state; the tests of the command line type them"},
			says:   []string{"a new lead", "jo@acme.example", "Both keys open it", "dropped the old key"},
			then: []promise{
				{"nurture source test shop --key nk_shop_...", []string{"recorded"}},
				{"nurture lint .", []string{"are fine"}},
			},
		},
		"bounces": {fill: map[string]string{"<key>": `[0-9a-f]{64}`}},
		"import-and-export": {
			files: map[string]string{"fair.csv": "First name,Phone,E-Mail privat,Notizen,Newsletter,Datum\nKim,+49 30 901820,kim@acme.example,tall,yes,2026-03-31\nLee,,nobody,,no,2026-03-31\n"},
			says:  []string{"2 rows checked, nothing recorded", "1 new leads", "fair.rejects.csv", "rows in leads.csv", "rows in events.parquet"},
			then: []promise{
				{"nurture lead show kim@acme.example", []string{"fair_visited", "Kim"}},
				{"nurture lead consents kim@acme.example", []string{"yes to marketing_email", "Yes, write to me.", "allowed"}},
				{"grep -l nobody fair.rejects.csv; nurture export leads -o leads.csv; grep -c kim@acme.example leads.csv; ls -l leads.csv events.parquet", []string{"fair.rejects.csv", "1", "-rw-------"}},
			},
		},
		"consent": {
			files:  map[string]string{"former-customers.txt": "lee@example.com\nkim@example.com\n"},
			before: []promise{{form("ann@acme.example"), []string{"lead_id"}}},
			fill:   map[string]string{"<lead id>": leadID},
			says:   []string{"asked by phone", "Send me useful articles", "allowed", "not allowed"},
			then:   []promise{{"nurture suppress check lee@example.com", []string{"unsubscribed", "from the old system"}}},
		},
		"access": {
			before: []promise{{demo, []string{"lead_id"}}},
			fill: map[string]string{
				"nt_grafana_...": `nt_grafana_\w{20,}`, "nt_support_...": `nt_support_\w{20,}`, "<lead id>": leadID, "nt_crm_1f3c": `(nt_crm_\w{4})\s`,
			},
			left: map[string]string{
				"NURTURE_ACCESS_FILE=access.yaml bin/nurture run": "runs until it is ended; the test starts it with the file, on ports of its own",
				"NURTURE_ACCESS_FILE=access.yaml NURTURE_TOKEN":   "runs until it is ended; four processes with a token are another test of this package",
				"authorization:": "belongs to Prometheus",
			},
			says: []string{"through 2027-11-25", `"programs"`, "jo@acme.example", "revoked nt_crm_", "revoked crm"},
			then: []promise{
				{"! nurture lead show jo@acme.example", []string{"token"}},
				{"nurture access list", []string{"grafana", "services"}},
			},
		},
		"accounts": {
			before: []promise{
				{form("bob@acme.example"), []string{"lead_id"}},
				{form("ann@acme.example"), []string{"lead_id"}},
				{form("lee@acme-inc.example"), []string{"lead_id"}},
				{`curl -u website-write-key: http://127.0.0.1:8080/v1/batch -d '{"batch":[{"type":"identify","messageId":"1","userId":"ann","traits":{"email":"ann@acme.example"},"context":{"groupId":"ws-9"}}]}'`, []string{`"accepted":1`}},
				{"nurture lead show ann@acme.example", []string{"(by group;"}},
				{"nurture account show acme.example", []string{"LEADS"}},
				{"nurture account show acme-inc.example", []string{"LEADS"}},
			},
			fill: map[string]string{"ws-account-id": `account +([0-9a-f]{32})`},
			says: []string{"domain acme.example", "(by group; nobody else known)", "is part of"},
			then: []promise{
				{"nurture account show ws-1 --source website", []string{"Acme", "domain acme.example", "domain acme-inc.example"}},
				{"nurture lead show ann@acme.example", []string{"acme.example (by email"}},
			},
		},
		"identity": {
			before: []promise{{form("ann@acme.example"), []string{"lead_id"}}, {form("ann@home.example"), []string{"lead_id"}}},
			fill:   map[string]string{"<lead id>": `^[^,]*"lead_id":"([0-9a-f]{32})"`, "<other lead id>": leadID, "<either id>": leadID},
			says:   []string{"which is merged into this one", "is one of its own again"},
			then:   []promise{{"nurture lead show ann@home.example", []string{"ann@home.example"}}},
		},
		"privacy": {
			before: []promise{{form("ann@acme.example"), []string{"lead_id"}}},
			fill:   map[string]string{"<lead id>": leadID},
			left:   map[string]string{"grep -r -a -l": "everything must be stopped; the tests of erasures look through the disk"},
			says:   []string{".html", "ERASURE", "finished"},
			then: []promise{
				{"! nurture lead find ann@acme.example", []string{"nobody has this address"}},
				{"grep -c ann@acme.example lead-*.json; grep -c 'ticket 4711' certificate.json", []string{"1"}},
			},
		},
		"signals": {
			before: []promise{{form("ann@acme.example"), []string{"lead_id"}}},
			says:   []string{"1 leads, 0 opens and clicks"},
		},
		"README": {
			first: map[string]promise{"bin/nurture status": {"nurture status", []string{"assigned"}}},
			says:  []string{"303", "HTTP/1.1 200", `"programs"`, "You", "mismatches=0"},
			then:  []promise{{"nurture verify", []string{"handoff leads=1 mismatches=0"}}},
		},
	} {
		all[name] = p
	}
	return all
}

// mailPages are those of the providers that send our mails: what they tell is of
// mails that were really sent.
func mailPages() map[string]page {
	all := map[string]page{}
	for _, provider := range []string{"mailgun", "postmark", "resend", "sendgrid", "ses"} {
		p := page{then: []promise{
			{"! curl -X POST http://127.0.0.1:8080/v1/hooks/" + provider + ` -H 'content-type: application/json' -d '{}'`, []string{"401"}},
		}}
		if provider != "sendgrid" && provider != "ses" { // they alone can sign
			p.then = append(p.then, promise{"nurture source test " + provider, []string{"only read, nothing was recorded"}})
		}
		all["connect-"+provider] = p
	}
	return all
}

// form sends the example's form for somebody.
func form(email string) string {
	return `curl http://127.0.0.1:8080/v1/forms/website -H 'content-type: application/json' -d '{"email":"` + email + `","consent_marketing_email":"yes"}'`
}

const (
	leadID = `"lead_id":"([0-9a-f]{32})"`
	npm    = "needs libraries of npm; ingest's tests run the real ones against it"
	demo   = `curl http://127.0.0.1:8080/v1/forms/website -H 'content-type: application/json' -d '{"form":"demo","email":"jo@acme.example","first_name":"Jo","company":"Acme"}'`
)

// Whoever copies the commands of a page gets what the page promises.
func TestThePagesCanBeFollowedToTheLetter(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "openssl", "od", "base64", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s: the pages that tell how to connect sources are not tried (Debian: apt-get install curl openssl)", tool)
		}
	}
	known := pages()
	found, err := filepath.Glob("../../../docs/howto/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); !has(known, name) && !strings.HasPrefix(name, "write-") {
			t.Errorf("%s is a new page: say in this test what its reader has and gets", name)
		}
	}
	for name, p := range known {
		file := filepath.Join("../../../docs/howto", name+".md")
		if name == "README" {
			file = "../../../README.md"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReader(t, p)
			for _, b := range p.before {
				r.expect(b)
			}
			r.follow(blocksOf(t, file))
			for _, want := range p.says {
				if !strings.Contains(r.said.String(), want) {
					t.Errorf("nothing printed %q:\n%s", want, r.said.String())
				}
			}
			for _, after := range p.then {
				r.expect(after)
			}
		})
	}
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}
