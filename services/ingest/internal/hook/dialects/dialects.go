// Package dialects names all kinds of webhooks that ingest reads. Pure.
package dialects

import (
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/mailgun"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/postmark"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/resend"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/sendgrid"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/ses"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
)

// All gives the dialects by the kind that sources.yaml names them with. A new
// one is added here, and to the table of the contract test beside it. amazon is
// asked for the certificates of SNS.
func All(amazon ses.Amazon) map[string]hook.Dialect {
	return map[string]hook.Dialect{
		"webhook":  standard.Dialect{},
		"sendgrid": sendgrid.Dialect{},
		"ses":      ses.New(amazon),
		"postmark": postmark.Dialect{},
		"mailgun":  mailgun.New(),
		"resend":   resend.Dialect{},
	}
}
