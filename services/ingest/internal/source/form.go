package source

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// Form is how a source's form is read.
type Form struct {
	Name, Activity, Redirect, Honeypot string
	Required                           []string
	Fields                             map[string]string
	Consents                           []ConsentSpec
	// Token: only forms with a token of ours are taken without a look.
	Token bool
	// OrgIDs are the Salesforce organisations whose forms come here, 15 characters.
	OrgIDs []string
	// Show are the fields of the hosted page, in their order.
	Show []string
	// named are the activities of forms that name themselves.
	named map[string]string
	allow []*url.URL
}

// Means gives the name and the activity of a form that names itself; an empty
// name is the source's only form.
func (f *Form) Means(name string) (form, activity string) {
	if name = normal.SnakeCase(name); name == "" {
		return f.Name, f.Activity
	}
	return name, cmp.Or(f.named[name], f.Activity)
}

// Origins lists where this form may send a browser afterwards, as a policy of a
// page names it: https://www.example.com.
func (f *Form) Origins() []string {
	var list []string
	add := func(u *url.URL) {
		if o := u.Scheme + "://" + u.Host; !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	if u, err := url.Parse(f.Redirect); err == nil && u.Host != "" {
		add(u)
	}
	for _, u := range f.allow {
		add(u)
	}
	return list
}

// Target gives where a browser goes after the form: where it asks to, if that
// is allowed, else the form's default. Empty when there is neither.
func (f *Form) Target(asked string) (target string, refused bool) {
	if asked == "" {
		return f.Redirect, false
	}
	if !f.allows(asked) {
		return f.Redirect, true
	}
	return asked, false
}

// allows compares what browsers would compare: scheme, host with port, and
// whole segments of the path. Anything a browser could read in another way,
// like a back slash or user information, is refused.
func (f *Form) allows(asked string) bool {
	if strings.ContainsFunc(asked, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return false
	}
	u, err := url.Parse(asked)
	if err != nil || u.User != nil || u.Opaque != "" || strings.Contains(u.Path, "..") {
		return false
	}
	for _, a := range f.allow {
		path := strings.TrimSuffix(a.Path, "/")
		if u.Scheme == a.Scheme && strings.EqualFold(u.Host, a.Host) &&
			(u.Path == path || strings.HasPrefix(u.Path, path+"/")) {
			return true
		}
	}
	return false
}
