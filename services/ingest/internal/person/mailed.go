package person

import (
	"cmp"
	"hash/fnv"
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Activities that say what became of a mail.
const (
	emailDelivered    = "email_delivered"
	emailBounced      = "email_bounced"
	emailUnsubscribed = "email_unsubscribed"
)

// maxMails bounds the mails that soft bounces are counted over.
const maxMails = 12

// MaxSoftBounces is the most that may be asked for as an activity's limit.
const MaxSoftBounces = 10

// mailed keeps what became of the latest mails, with the lead it was told of. An address that sends so many
// mails in a row back for now, as the command says, does not exist for us.
func (f *fold) mailed() {
	a := f.cmd.GetCapture().GetActivity()
	limit := int(a.GetSoftBounceLimit())
	soft := a.GetType() == emailBounced && a.GetProperties()["bounce"] == "soft" && limit > 0
	if !soft && a.GetType() != emailDelivered {
		return
	}
	at := f.at
	if a.GetOccurredAt() != nil {
		at = Clamp(a.GetOccurredAt(), f.now)
	}
	result := &ingestv1.MailResult{
		Touch: touchHash(cmp.Or(a.GetProperties()["touch_id"], a.GetId(), f.in.ID)), At: at.GetSeconds(), Bounced: soft,
	}
	f.part.Mails = withResult(f.part.Mails, result)
	if f.st.Mails = f.part.Mails; len(f.parts) > 1 {
		f.st.Mails = nil
		for _, p := range f.parts {
			for _, r := range p.GetMails() {
				f.st.Mails = withResult(f.st.Mails, r)
			}
		}
	}
	if soft && inARow(f.st.GetMails()) >= limit && f.cmd.GetSuppression() == leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		f.cmd.Suppression = leadv1.Suppression_SUPPRESSION_HARD_BOUNCE
	}
}

// withResult enters what became of a mail. Whatever order the news come in, the
// latest about each mail stands, and the latest mails are kept, oldest first.
func withResult(have []*ingestv1.MailResult, r *ingestv1.MailResult) []*ingestv1.MailResult {
	i := slices.IndexFunc(have, func(h *ingestv1.MailResult) bool { return h.GetTouch() == r.GetTouch() })
	if i >= 0 {
		if h := have[i]; h.GetAt() > r.GetAt() || h.GetAt() == r.GetAt() && (h.GetBounced() || !r.GetBounced()) {
			return have
		}
		have = slices.Delete(have, i, i+1)
	}
	at, _ := slices.BinarySearchFunc(have, r, func(a, b *ingestv1.MailResult) int {
		return cmp.Or(cmp.Compare(a.GetAt(), b.GetAt()), cmp.Compare(a.GetTouch(), b.GetTouch()))
	})
	have = slices.Insert(have, at, r)
	if len(have) > maxMails {
		have = slices.Delete(have, 0, len(have)-maxMails)
	}
	return have
}

// inARow counts the latest mails that all came back.
func inARow(mails []*ingestv1.MailResult) int {
	n := 0
	for _, m := range slices.Backward(mails) {
		if !m.GetBounced() {
			break
		}
		n++
	}
	return n
}

func touchHash(touch string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(touch)) // never fails
	return h.Sum64()
}

// withdraw takes every purpose back that was allowed, when a person
// unsubscribed and nobody can say from what.
func (f *fold) withdraw() {
	c := f.cmd.GetCapture()
	if c.GetActivity().GetType() != emailUnsubscribed || len(c.GetConsents()) > 0 ||
		f.cmd.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED {
		return
	}
	for _, have := range f.st.Lead.GetConsents() {
		if have.GetGranted() {
			c.Consents = append(c.Consents, &leadv1.Consent{
				Purpose: have.GetPurpose(), Source: c.GetSource(), Method: "email_provider",
				Text: "Unsubscribed from all mails",
			})
		}
	}
}
