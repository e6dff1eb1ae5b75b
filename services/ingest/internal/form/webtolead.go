package form

import "strings"

// webToLead are the field names of Salesforce's Web-to-Lead that mean something
// else than they say, or nothing to us.
func webToLead(name string) (ours string) {
	switch name {
	case "url":
		return "website"
	case "description":
		return "message"
	case "title":
		return "job_title"
	case "debug", "debug_email", "debugemail", "encoding", "oid", "org_id", "record_type", "recordtype", "captcha_settings", "g_recaptcha_response":
		return "" // about the form
	}
	return name
}

// customField reports whether a name is the id of a field that somebody made in
// Salesforce, like 00N5g00000ABCDE.
func customField(name string) bool {
	return (len(name) == 15 || len(name) == 18) && strings.HasPrefix(name, "00N")
}

// Latin reads a body's fields in ISO-8859-1, which old pages still send, as
// UTF-8.
func Latin(values Values) Values {
	for name, list := range values {
		for i, v := range list {
			runes := make([]rune, len(v))
			for j := range len(v) {
				runes[j] = rune(v[j])
			}
			list[i] = string(runes)
		}
		values[name] = list
	}
	return values
}
