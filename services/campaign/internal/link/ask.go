package link

import (
	"strconv"
	"strings"
	"time"
)

// Ask is what the link of a confirmation mail confirms.
type Ask struct {
	// Issued is when the mail was written: the link can be used for a while.
	Issued time.Time
	// Requests are the ids of the requests, as ingest gave them.
	Requests []string
}

// Target is the ask as a token carries it.
func (a Ask) Target() string {
	return strconv.FormatInt(a.Issued.Unix(), 10) + " " + strings.Join(a.Requests, " ")
}

// AskOf reads the ask of a verified token. The error is ErrInvalid.
func AskOf(t Token) (Ask, error) {
	parts := strings.Fields(t.Target)
	if t.Kind != Confirm || len(parts) < 2 {
		return Ask{}, ErrInvalid
	}
	sec, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return Ask{}, ErrInvalid
	}
	return Ask{Issued: time.Unix(sec, 0), Requests: parts[1:]}, nil
}
