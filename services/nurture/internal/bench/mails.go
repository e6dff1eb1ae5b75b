package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// mailedLeads is how many leads get one mail each.
const mailedLeads = 10240

// oneMail is a program that mails everybody once.
const oneMail = `name: bench
description: One mail for everybody.
enroll:
  who: lead.has_email
  when: "true"
  re_entry: never
steps:
  - id: hello
    email: {template: welcome-hello, subject: "Hello"}
`

// Mails measures touches: leads that wait to be enrolled get one mail each,
// through enrollment, gates, claim, one more look, rendering, SMTP to a sink on
// this machine, and the recorded outcome. Scoring does not run: whether a lead's
// score comes in one pass with the lead or in one of its own is chance, and a
// record more or less. The rate is that of the middle of the run; from nothing, with
// the start of campaign and all enrollments before the first mail, is another line.
func Mails(ctx context.Context, config string) ([]Line, error) {
	p, err := newPlatform(ctx, config)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := p.captureLeads(ctx, mailedLeads); err != nil {
		return nil, err
	}
	sink, err := p.smtpSink(ctx)
	if err != nil {
		return nil, err
	}
	programs := filepath.Join(p.dir, "programs")
	if err := os.MkdirAll(programs, 0o700); err != nil {
		return nil, fmt.Errorf("write program: %w", err)
	}
	if err := os.WriteFile(filepath.Join(programs, "bench.yaml"), []byte(oneMail), 0o600); err != nil {
		return nil, fmt.Errorf("write program: %w", err)
	}
	before, err := p.quiet(ctx)
	if err != nil {
		return nil, err
	}
	began, err := cpuTime()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := p.startCampaign(ctx, programs, sink.addr); err != nil {
		return nil, err
	}
	if err := until(ctx, "every lead has its mail", func() (bool, error) { return sink.taken() >= mailedLeads, nil }); err != nil {
		return nil, err
	}
	took := time.Since(start).Seconds()
	cpu, err := cpuEach("cpu_per_mail", began, mailedLeads)
	if err != nil {
		return nil, err
	}
	after, err := p.quiet(ctx)
	if err != nil {
		return nil, err
	}
	return append([]Line{{"mails", sink.steady(), "touches/s"}, {"mails_from_nothing", mailedLeads / took, "touches/s"}, cpu}, after.each("messages_per_mail", before, mailedLeads)...), nil
}

// captureLeads lets ingest record leads that may be mailed.
func (p *platform) captureLeads(ctx context.Context, n int) error {
	_, _, err := closed(64, n, func(w, i int) error {
		id := fmt.Sprintf("mail-%d-%d", w, i)
		_, err := p.ingest.CaptureLead(ctx, &ingestv1.CaptureLeadRequest{
			Source: "product", ExternalId: id,
			Profile:  &leadv1.Profile{Email: id + "@acme.example", FirstName: "Robin"},
			Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true, Text: "Send me articles.", Method: "api"}},
		})
		if err != nil {
			return fmt.Errorf("capture lead: %w", err)
		}
		return nil
	})
	return err
}
