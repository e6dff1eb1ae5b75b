package crm

import (
	"strconv"
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// What a CRM's status can mean.
const (
	accepted  = "accepted"
	qualified = "qualified"
	rejected  = "rejected"
	won       = "won"
	lost      = "lost"
	deleted   = "deleted"
	ignored   = "ignored"
)

func statuses() []string { return []string{accepted, qualified, rejected, won, lost, deleted} }

func sales(status string) ingestv1.SalesStatus {
	switch status {
	case accepted:
		return ingestv1.SalesStatus_SALES_STATUS_ACCEPTED
	case qualified:
		return ingestv1.SalesStatus_SALES_STATUS_QUALIFIED
	case rejected:
		return ingestv1.SalesStatus_SALES_STATUS_REJECTED
	case won:
		return ingestv1.SalesStatus_SALES_STATUS_WON
	case lost:
		return ingestv1.SalesStatus_SALES_STATUS_LOST
	case deleted:
		return ingestv1.SalesStatus_SALES_STATUS_DELETED
	}
	return ingestv1.SalesStatus_SALES_STATUS_UNSPECIFIED
}

// means gives what a word of the CRM means: what the options say, else the ready
// words, else the word itself when it is one of ours.
func means(word string, src *source.Source) (status string, known bool) {
	snake := normal.SnakeCase(word)
	for _, s := range append(statuses(), ignored) {
		if listed(src.Options[s], snake) {
			return s, true
		}
	}
	if s := ready(src.Options[OptionWords], snake); s != "" {
		return s, true
	}
	for _, s := range statuses() {
		if s == snake {
			return s, true
		}
	}
	if snake == "sales_qualified" {
		return qualified, true
	}
	return "", false
}

func listed(words, snake string) bool {
	for w := range strings.SplitSeq(words, ",") {
		if w = normal.SnakeCase(w); w != "" && w == snake {
			return true
		}
	}
	return false
}

// ready are the words of CRMs as they come out of the box. Nobody's CRM stays
// that way: the options add to them and win over them.
func ready(crm, snake string) string {
	words := map[string]map[string]string{
		"salesforce": {
			"open_not_contacted": ignored, "working_contacted": accepted, "closed_converted": qualified, "qualified": qualified,
			"unqualified": rejected, "closed_not_converted": rejected, "closed_won": won, "closed_lost": lost,
		},
		"hubspot": {
			"new": ignored, "open": ignored, "in_progress": accepted, "connected": accepted, "open_deal": qualified,
			"unqualified": rejected, "bad_timing": rejected, "attempted_to_contact": ignored,
			"salesqualifiedlead": accepted, "opportunity": qualified, "closedwon": won, "closedlost": lost, "customer": won,
			"lead": ignored, "subscriber": ignored, "marketingqualifiedlead": ignored,
		},
		"odoo": {"opportunity": accepted, "won": won, "lost": lost, "lead": ignored},
	}
	return words[crm][snake]
}

// Ready gives what a word of a CRM means out of the box, as a status; UNSPECIFIED
// when it means nothing here.
func Ready(crm, word string) ingestv1.SalesStatus {
	return sales(ready(crm, normal.SnakeCase(word)))
}

// derive gives the word of a record that has no status, but fields that add up
// to one.
func derive(crm string, t hook.Tree) string {
	if data := t.At("data"); data.Object() != nil {
		t = data
	}
	yes := func(name string) bool { return t.Text(name) == "true" }
	switch crm {
	case "odoo":
		switch opportunity := t.Text("type") == "opportunity"; {
		case t.Text("active") == "false" && opportunity:
			return lost
		case t.Text("active") == "false":
			return rejected
		case t.Text("probability") == "100" || t.Text("probability") == "100.0":
			return won
		case opportunity:
			return accepted
		}
		return t.Text("type")
	case "salesforce":
		switch {
		case yes("IsWon"):
			return won
		case yes("IsClosed"):
			return lost
		case yes("IsConverted"):
			return qualified
		}
		if s := t.Text("Status"); s != "" {
			return s
		}
		return t.Text("StageName")
	}
	return ""
}

// Reason gives the reason of a rejection. A word that is none of ours and of the
// options' becomes OTHER, and the text keeps it.
func Reason(word, text string, src *source.Source) (leadv1.RejectReason, string) {
	snake := normal.SnakeCase(word)
	if snake == "" {
		return leadv1.RejectReason_REJECT_REASON_UNSPECIFIED, text
	}
	for n, full := range leadv1.RejectReason_name {
		name := strings.ToLower(strings.TrimPrefix(full, "REJECT_REASON_"))
		if n != 0 && (name == snake || listed(src.Options[optionReason+name], snake)) {
			return leadv1.RejectReason(n), text
		}
	}
	if text == "" {
		text = normal.Block(word, 2000)
	}
	return leadv1.RejectReason_REJECT_REASON_OTHER, text
}

// minor gives an amount like "1,250.50" in the minor unit of its currency; 0
// when it cannot be read: a deal's size is no reason to lose that it was won.
func minor(amount, currency string) int64 {
	decimals := 2
	switch currency {
	case "minor", "JPY", "KRW", "VND", "CLP", "ISK", "XAF", "XOF":
		decimals = 0
	}
	whole, part, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(amount), ",", ""), ".")
	if len(part) > decimals {
		part = part[:decimals]
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", decimals-len(part)), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
