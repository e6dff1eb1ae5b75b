package hook

import "testing"

func TestNobodySaysYesWithAWordThatMeansNo(t *testing.T) {
	for _, no := range []string{"", "no", "No ", "NEIN", "non", "0", "false", "off", "denied", "opt-out", "unsubscribed", "none", "null"} {
		if Truth(no) {
			t.Errorf("%q is taken for a yes", no)
		}
	}
	for _, yes := range []string{"yes", "ja", "1", "TRUE", "on", "Send me useful articles by e-mail."} {
		if !Truth(yes) {
			t.Errorf("%q is taken for a no", yes)
		}
	}
}
