package web

import (
	"net"
	"net/http"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

// Words of the buttons, and the names their presses are sent under.
const (
	actConfirm = "confirm"
	actAgain   = "again"
	actSave    = "save"
	actLeave   = "leave"
)

// how is the proof of an answer that was given on one of our pages.
func (p *pages) how(r *http.Request, tok link.Token, method string) *leadv1.Consent {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return &leadv1.Consent{
		Source: "campaign", Method: method, Channel: "email", Ip: host, UserAgent: r.UserAgent(), Proof: tok.Touch, At: timestamppb.New(p.Now()),
	}
}

// confirmation is a verified link of a confirmation mail.
func (p *pages) confirmation(r *http.Request) (tok link.Token, ask link.Ask, err error) {
	if tok, err = p.Links.Verify(link.Confirm, r.PathValue("token")); err != nil {
		return tok, ask, err
	}
	ask, err = link.AskOf(tok)
	return tok, ask, err
}

// askConfirm shows the page with the button. Looking at it changes nothing.
func (p *pages) askConfirm(w http.ResponseWriter, r *http.Request) {
	tok, ask, err := p.confirmation(r)
	if err != nil {
		p.refuse(w, r, "confirm_page")
		return
	}
	old, err := p.expired(r, tok, ask)
	switch {
	case err != nil:
		p.later(w, r, "confirm_page", tok, err)
	case old:
		p.offerAgain(w)
	default:
		p.page(w, http.StatusOK, page{
			Title: "Please confirm", Text: "Press the button and we will send you what you asked for. If it was not you, just close this page: nothing will be sent.",
			Action: actConfirm, Label: "Yes, I confirm", Company: p.Company,
		})
	}
}

// expired reports whether a confirmation mail is older than the policy allows.
func (p *pages) expired(r *http.Request, tok link.Token, ask link.Ask) (bool, error) {
	pref, err := p.Ingest.ListPreferences(r.Context(), &ingestv1.ListPreferencesRequest{LeadId: tok.Lead})
	if err != nil {
		return false, err
	}
	return p.Now().After(ask.Issued.Add(time.Duration(pref.GetConfirmSeconds()) * time.Second)), nil
}

func (p *pages) offerAgain(w http.ResponseWriter) {
	p.page(w, http.StatusGone, page{
		Title: "This link has expired", Text: "For your safety it works for a limited time only. Shall we send you a new mail?",
		Action: actAgain, Label: "Send me a new one", Company: p.Company,
	})
}

// confirm grants what waits, durably, before it answers.
func (p *pages) confirm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	tok, ask, err := p.confirmation(r)
	if err != nil {
		p.refuse(w, r, "confirm")
		return
	}
	old, err := p.expired(r, tok, ask)
	switch {
	case err != nil:
		p.later(w, r, "confirm", tok, err)
	case r.FormValue("do") == actAgain:
		p.again(w, r, tok)
	case old:
		p.offerAgain(w)
	default:
		p.grant(w, r, tok, ask)
	}
}

func (p *pages) grant(w http.ResponseWriter, r *http.Request, tok link.Token, ask link.Ask) {
	resp, err := p.Ingest.ConfirmConsent(r.Context(), &ingestv1.ConfirmConsentRequest{
		LeadId: tok.Lead, RequestIds: ask.Requests, How: p.how(r, tok, "double_opt_in"),
	})
	if err != nil {
		p.later(w, r, "confirm", tok, err)
		return
	}
	p.count(r.Context(), "confirm", resp.GetResult())
	said := map[string]page{
		"confirmed":         {Title: "Thank you", Text: "You confirmed it. You can change your mind at any time: every mail has a link for that."},
		"already_confirmed": {Title: "Already confirmed", Text: "You confirmed this before. There is nothing more to do."},
	}
	content, ok := said[resp.GetResult()]
	if !ok {
		content = page{Title: "Nothing to confirm", Text: "This was taken back since the mail was sent. If you want our mails, please ask for them again on our site."}
	}
	content.Company = p.Company
	p.page(w, http.StatusOK, content)
}

// again asks for a new confirmation mail.
func (p *pages) again(w http.ResponseWriter, r *http.Request, tok link.Token) {
	resp, err := p.Ingest.AskConfirmation(r.Context(), &ingestv1.AskConfirmationRequest{LeadId: tok.Lead})
	if err != nil {
		p.later(w, r, "confirm_again", tok, err)
		return
	}
	p.count(r.Context(), "confirm_again", resp.GetResult())
	text := "A new mail is on its way. Please look into your mailbox in a moment."
	if resp.GetResult() == "nothing_pending" {
		text = "There is nothing to confirm any more."
	}
	p.page(w, http.StatusOK, page{Title: "Done", Text: text, Company: p.Company})
}

// askPreferences shows every purpose and its answer. Looking changes nothing.
func (p *pages) askPreferences(w http.ResponseWriter, r *http.Request) {
	tok, err := p.Links.Verify(link.Preferences, r.PathValue("token"))
	if err != nil {
		p.refuse(w, r, "preferences_page")
		return
	}
	p.showPreferences(w, r, tok, "")
}

func (p *pages) showPreferences(w http.ResponseWriter, r *http.Request, tok link.Token, notice string) {
	pref, err := p.Ingest.ListPreferences(r.Context(), &ingestv1.ListPreferencesRequest{LeadId: tok.Lead})
	if err != nil {
		p.later(w, r, "preferences_page", tok, err)
		return
	}
	p.page(w, http.StatusOK, page{
		Title: "Your choice", Text: "Tick what you want to hear about, and save. What is not ticked is not sent.",
		Notice: notice, Choices: choices(pref), Version: pref.GetVersion(), Company: p.Company,
		Left: pref.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED,
	})
}

// choice is one purpose on the page.
type choice struct {
	Purpose, Title, Description, State string
	Ticked                             bool
}

func choices(pref *ingestv1.ListPreferencesResponse) []choice {
	list := make([]choice, 0, len(pref.GetPreferences()))
	for _, one := range pref.GetPreferences() {
		c := choice{Purpose: one.GetPurpose(), Title: one.GetTitle(), Description: one.GetDescription(), Ticked: one.GetAllowed()}
		if one.GetReason() == "awaiting_confirmation" {
			c.State, c.Ticked = "Waits for your confirmation: please look into your mailbox.", true
		}
		list = append(list, c)
	}
	return list
}

// preferences records what was answered, durably, before it answers.
func (p *pages) preferences(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	tok, err := p.Links.Verify(link.Preferences, r.PathValue("token"))
	if err != nil {
		p.refuse(w, r, "preferences")
		return
	}
	pref, err := p.Ingest.ListPreferences(r.Context(), &ingestv1.ListPreferencesRequest{LeadId: tok.Lead})
	if err != nil {
		p.later(w, r, "preferences", tok, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		p.page(w, http.StatusBadRequest, page{Title: "Not understood", Text: "Please open the link from the mail again.", Company: p.Company})
		return
	}
	req := &ingestv1.UpdatePreferencesRequest{LeadId: tok.Lead, How: p.how(r, tok, "page")}
	notice := "Saved."
	switch r.PostForm.Get("do") {
	case actLeave:
		req.UnsubscribeAll, notice = true, "Saved. You will get no more mails from us."
	case actSave:
		req.Answers = changes(pref, r.PostForm["purpose"], r.PostForm["shown"])
	default:
		p.page(w, http.StatusBadRequest, page{Title: "Not understood", Text: "Please open the link from the mail again.", Company: p.Company})
		return
	}
	if len(req.GetAnswers()) > 0 || req.GetUnsubscribeAll() {
		if _, err := p.Ingest.UpdatePreferences(r.Context(), req); err != nil {
			p.later(w, r, "preferences", tok, err)
			return
		}
	}
	p.count(r.Context(), "preferences", r.PostForm.Get("do"))
	p.showPreferences(w, r, tok, notice)
}

// changes are the answers that differ from what holds now. Only purposes the
// page showed were answered: one that was added since was not.
func changes(pref *ingestv1.ListPreferencesResponse, ticked, shown []string) []*ingestv1.PreferenceAnswer {
	var list []*ingestv1.PreferenceAnswer
	for _, one := range pref.GetPreferences() {
		yes := slices.Contains(ticked, one.GetPurpose())
		now := one.GetAllowed() || one.GetReason() == "awaiting_confirmation"
		if !slices.Contains(shown, one.GetPurpose()) || yes == now {
			continue
		}
		text := one.GetTitle()
		if one.GetDescription() != "" {
			text += "\n" + one.GetDescription()
		}
		list = append(list, &ingestv1.PreferenceAnswer{Purpose: one.GetPurpose(), Granted: yes, Text: text, TextVersion: pref.GetVersion()})
	}
	return list
}

// later says that nothing was recorded and when to try again.
func (p *pages) later(w http.ResponseWriter, r *http.Request, what string, tok link.Token, err error) {
	p.Log.ErrorContext(r.Context(), "answer a page of consents", "what", what, "lead_id", tok.Lead, "touch_id", tok.Touch, "error", err)
	p.count(r.Context(), what, "failed")
	w.Header().Set("Retry-After", "5")
	p.page(w, http.StatusServiceUnavailable, page{Title: "Not yet", Text: "We could not record this just now. Please open the link from the mail again in a moment.", Company: p.Company})
}
