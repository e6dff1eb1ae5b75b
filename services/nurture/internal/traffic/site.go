package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/population"
)

// The website of the example configuration: its source and its write key.
const (
	ExampleSource = "website"
	ExampleKey    = "website-write-key"
)

// site is the website: its forms post to ingest, its pages track visitors.
type site struct {
	opts   Options
	client *http.Client
	slots  chan struct{}
}

func newSite(o Options) *site {
	o.Ingest = strings.TrimRight(o.Ingest, "/")
	return &site{opts: o, client: newClient(), slots: make(chan struct{}, slots)}
}

// step does one step of a person.
func (s *site) step(ctx context.Context, p *population.Person, step population.Step) error {
	switch step.Kind {
	case population.ViewPage:
		return s.track(ctx, "/v1/page", map[string]any{
			"anonymousId": p.Anonymous, "messageId": s.id(p, step), "name": step.Path,
			"properties": map[string]any{"path": step.Path, "url": "https://www.nurture.example" + step.Path},
		})
	case population.SignUp:
		// The form of the sign-up asks for consent; the product then says who it is.
		if err := s.form(ctx, p, step); err != nil {
			return err
		}
		return s.signUp(ctx, p, step)
	case population.AskDemo, population.Download, population.Subscribe:
		return s.form(ctx, p, step)
	}
	return fmt.Errorf("unknown step %q", step.Kind)
}

// form fills in a form as a browser does.
func (s *site) form(ctx context.Context, p *population.Person, step population.Step) error {
	f := url.Values{}
	for name, value := range told(p, step.Kind) {
		f.Set(name, value)
	}
	f.Set("form", string(step.Kind))
	f.Set("anonymous_id", p.Anonymous)
	f.Set("submission_id", s.id(p, step))
	f.Set("consent_marketing_email", "yes")
	f.Set("utm_source", "search")
	f.Set("utm_medium", "cpc")
	f.Set("utm_campaign", "the-eighty")
	f.Set("landing_page", "https://www.nurture.example"+step.Path)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.Ingest+"/v1/forms/"+s.opts.Source, strings.NewReader(f.Encode()))
	if err != nil {
		return fmt.Errorf("build form post: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", browser)
	return s.do(req)
}

// told is what a person fills in: the demo form asks for more.
func told(p *population.Person, kind population.Kind) map[string]string {
	t := map[string]string{"email": p.Profile.Email, "first_name": p.Profile.FirstName, "time_zone": p.Profile.Zone}
	if kind == population.Subscribe || kind == population.SignUp {
		return t
	}
	t["last_name"], t["company"], t["job_title"] = p.Profile.LastName, p.Profile.Company, p.Profile.JobTitle
	t["country"], t["industry"] = p.Profile.Country, p.Profile.Industry
	t["employees"] = strconv.Itoa(p.Profile.Employees)
	if kind == population.AskDemo {
		t["phone"] = p.Profile.Phone
	}
	return t
}

// signUp is what a product's own tracking sends when somebody signs up.
func (s *site) signUp(ctx context.Context, p *population.Person, step population.Step) error {
	return s.track(ctx, "/v1/identify", map[string]any{
		"anonymousId": p.Anonymous, "userId": fmt.Sprintf("user-%d-%d", s.opts.Seed, p.N), "messageId": s.id(p, step),
		"traits": map[string]any{
			"email": p.Profile.Email, "firstName": p.Profile.FirstName, "lastName": p.Profile.LastName,
			"company": map[string]any{"name": p.Profile.Company, "industry": p.Profile.Industry, "employee_count": p.Profile.Employees},
			"title":   p.Profile.JobTitle,
			"address": map[string]any{"country": p.Profile.Country},
		},
		"context": map[string]any{"timezone": p.Profile.Zone, "page": map[string]any{"path": step.Path}},
	})
}

func (s *site) track(ctx context.Context, path string, body map[string]any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.Ingest+path, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("build event post: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(s.opts.WriteKey, "")
	return s.do(req)
}

// id makes a person's step one event however often it is sent. A page may be
// seen again later, so the time of the step is part of it.
func (s *site) id(p *population.Person, step population.Step) string {
	return fmt.Sprintf("%d-%d-%s-%s-%d", s.opts.Seed, p.N, step.Kind, strings.Trim(step.Path, "/"), step.At)
}

// tries is how often an act is sent before its person gives up.
const tries = 6

// do sends a request, and again when the service asks for patience.
func (s *site) do(req *http.Request) error {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	for try := 1; ; try++ {
		patience, err := s.once(req)
		if err == nil || patience == 0 || try == tries {
			return err
		}
		if !wait(req.Context(), patience) {
			return req.Context().Err()
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return fmt.Errorf("repeat request: %w", err)
			}
		}
	}
}

// once sends a request. patience says after which time it may succeed; 0 never.
func (s *site) once(req *http.Request) (patience time.Duration, err error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return 200 * time.Millisecond, fmt.Errorf("send request: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	switch {
	case err != nil:
		return 200 * time.Millisecond, fmt.Errorf("read answer: %w", err)
	case resp.StatusCode < 400:
		return 0, nil
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		patience = min(5*time.Second, max(200*time.Millisecond, time.Duration(after)*time.Second))
	}
	return patience, fmt.Errorf("%s %s answered %s: %s", req.Method, req.URL.Path, resp.Status, strings.TrimSpace(string(body)))
}
