// Package dialects names all kinds of webhooks that ingest reads. Pure.
package dialects

import (
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/cloudevents"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/crm"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/google"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/hubspot"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/linkedin"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/mailgun"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/meta"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/postmark"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/resend"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/sendgrid"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/ses"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/typeform"
)

// All gives the dialects by the kind that sources.yaml names them with. A new
// one is added here, and to the table of the contract test beside it. amazon is
// asked for the certificates of SNS.
func All(amazon ses.Amazon) map[string]hook.Dialect {
	return map[string]hook.Dialect{
		"cloudevents": cloudevents.Dialect{},
		"crm":         crm.Dialect{},
		"google_ads":  google.Dialect{},
		"hubspot":     hubspot.Dialect{},
		"linkedin":    linkedin.Dialect{},
		"mailgun":     mailgun.New(),
		"meta":        meta.Dialect{},
		"postmark":    postmark.Dialect{},
		"resend":      resend.Dialect{},
		"sendgrid":    sendgrid.Dialect{},
		"ses":         ses.New(amazon),
		"typeform":    typeform.Dialect{},
		"webhook":     standard.Dialect{},
	}
}
