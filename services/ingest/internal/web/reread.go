package web

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/posthog"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Reread reads what was rejected as if it came now, by the source as it is now.
// The faults say what is still wrong with it.
func Reread(what reject.Rejected, src *source.Source) ([]person.Submission, []normal.Fault, error) {
	from := segment.From{Source: src.Name, Country: src.Country, Received: what.At}
	switch what.Kind {
	case reject.Form:
		return rereadForm(what, src)
	case reject.Segment:
		env, err := segment.Open(what.Raw, what.About["type"])
		if err != nil {
			return nil, nil, err
		}
		return events(env.Read(from))
	case reject.PostHog:
		env, err := posthog.Open(what.Raw)
		if err != nil {
			return nil, nil, err
		}
		return events(env.Read(from))
	}
	return nil, nil, fmt.Errorf("nobody knows how to read %q again: dismiss it", what.Kind)
}

func rereadForm(what reject.Rejected, src *source.Source) ([]person.Submission, []normal.Fault, error) {
	if src.Form == nil {
		return nil, nil, fmt.Errorf("source %s has no form any more", src.Name)
	}
	media, _, _ := strings.Cut(what.ContentType, ";")
	media = strings.ToLower(strings.TrimSpace(cmp.Or(media, "application/x-www-form-urlencoded")))
	values, err := parseForm(media, what.ContentType, what.Raw)
	if err != nil {
		return nil, nil, err
	}
	said := form.Read(src, values, form.Visitor{
		IP: what.About["ip"], UserAgent: what.About["header:User-Agent"], Referer: what.About["header:Referer"],
	})
	if len(said.Faults) > 0 {
		return nil, said.Faults, nil
	}
	sub, faults := person.FromCapture(said.Capture, src.Country)
	if len(faults) > 0 {
		return nil, faults, nil
	}
	return []person.Submission{*sub}, nil, nil
}

// events gives the submissions of a dialect's events, and the faults of those
// that cannot be used.
func events(items []segment.Item) ([]person.Submission, []normal.Fault, error) {
	var subs []person.Submission
	var faults []normal.Fault
	for _, item := range items {
		switch {
		case item.Submission != nil:
			subs = append(subs, *item.Submission)
		case item.LeftOut == "":
			faults = append(faults, item.Faults...)
		}
	}
	return subs, faults, nil
}
