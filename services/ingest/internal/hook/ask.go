package hook

import (
	"net/http"
	"strconv"
)

// OptionBase is where the sender's API is, for tests and private gateways.
const OptionBase = "base_url"

// CredentialToken is what opens the sender's API.
const CredentialToken = "access_token"

// JudgeStatus says what an answer means by its status alone.
func JudgeStatus(status int) Verdict {
	v := Verdict{Reason: "it answered " + strconv.Itoa(status) + " " + http.StatusText(status)}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		v.Token = true
		v.Reason += ": mend the credential access_token of the source"
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		v.Again = true
	}
	return v
}
