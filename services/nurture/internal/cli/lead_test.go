package cli

import "testing"

func TestAServiceIsWhereTheNearestWordSaysThatItIs(t *testing.T) {
	for _, c := range []struct{ own, host, variable, want string }{
		{want: "127.0.0.1:9080"},
		{variable: "ingest:9090", want: "ingest:9090"},
		{variable: "ingest:9090", host: "10.0.0.7", want: "10.0.0.7:9080"},
		{variable: "ingest:9090", host: "10.0.0.7", own: "here:1", want: "here:1"},
	} {
		t.Setenv("INGEST_ADDR", c.variable)
		if got := (&addrs{host: c.host}).target(c.own, "INGEST_ADDR", "9080"); got != c.want {
			t.Errorf("%+v: asked at %s", c, got)
		}
	}
}
