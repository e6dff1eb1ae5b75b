package signal

import (
	"cmp"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Revision is a verdict that these rules would not have given.
type Revision struct {
	Hit     *leadv1.Activity
	Verdict Verdict
}

// Again judges hits of any mails that were judged before, and gives the verdicts
// that are different now, mail after mail. Those that wait are left to their time,
// and of those recorded without evidence nothing can be said.
func (r *Rules) Again(hits []*leadv1.Activity) []Revision {
	var list []Revision
	for _, group := range ByMail(hits) {
		for i, v := range r.Judge(group) {
			if a := group[i]; !a.GetPending() && a.GetVerdict() != "" && v.Machine != a.GetMachine() {
				list = append(list, Revision{Hit: a, Verdict: v})
			}
		}
	}
	return list
}

// ByMail groups hits by their mail, in the order of the first of each. One that
// does not say its mail is a group of its own.
func ByMail(hits []*leadv1.Activity) [][]*leadv1.Activity {
	var groups [][]*leadv1.Activity
	at := map[string]int{}
	for _, a := range hits {
		mail := cmp.Or(Touch(a), a.GetId())
		i, ok := at[mail]
		if !ok {
			i = len(groups)
			at[mail], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], a)
	}
	return groups
}
