package box

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Door is one address the process listens on.
type Door struct {
	// Name says what is behind it, Flag is the setting that moves it.
	Name, Flag string
	// Addr is the default, or what the setting says.
	Addr string
}

// The doors of the process, by the flag that moves each.
const (
	IngestHTTP   = "ingest-http"
	IngestGRPC   = "ingest-grpc"
	ScoringHTTP  = "scoring-http"
	ScoringGRPC  = "scoring-grpc"
	CampaignHTTP = "campaign-http"
	CampaignGRPC = "campaign-grpc"
	HandoffHTTP  = "handoff-http"
	HandoffGRPC  = "handoff-grpc"
	InboxHTTP    = "inbox-http"
	InboxSMTP    = "inbox-smtp"
	DeskHTTP     = "desk-http"
)

// Doors lists them all with their defaults.
func Doors() []Door {
	return []Door{
		{"ingest's forms and API", IngestHTTP, "127.0.0.1:8080"},
		{"ingest's gRPC", IngestGRPC, "127.0.0.1:9080"},
		{"scoring's API", ScoringHTTP, "127.0.0.1:8081"},
		{"scoring's gRPC", ScoringGRPC, "127.0.0.1:9081"},
		{"campaign's links and API", CampaignHTTP, "127.0.0.1:8082"},
		{"campaign's gRPC", CampaignGRPC, "127.0.0.1:9082"},
		{"handoff's API", HandoffHTTP, "127.0.0.1:8083"},
		{"handoff's gRPC", HandoffGRPC, "127.0.0.1:9083"},
		{"the inbox page", InboxHTTP, "127.0.0.1:8025"},
		{"the SMTP inbox", InboxSMTP, "127.0.0.1:1025"},
		{"the CRM desk", DeskHTTP, "127.0.0.1:8090"},
	}
}

// AnyDoors are the same doors on free ports of loopback.
func AnyDoors() []Door {
	doors := Doors()
	for i := range doors {
		doors[i].Addr = "127.0.0.1:0"
	}
	return doors
}

// openDoors listens on all doors, or on none: a door that cannot be opened is an
// error that names the port and the setting.
func openDoors(ctx context.Context, doors []Door) (map[string]net.Listener, error) {
	open := make(map[string]net.Listener, len(doors))
	var lc net.ListenConfig
	for _, d := range doors {
		l, err := lc.Listen(ctx, "tcp", d.Addr)
		if err != nil {
			closeDoors(open)
			return nil, doorError(d, err)
		}
		open[d.Flag] = l
	}
	return open, nil
}

func closeDoors(open map[string]net.Listener) {
	for _, l := range open {
		_ = l.Close()
	}
}

func doorError(d Door, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s cannot listen on %s: the port is in use; stop the other program or choose another port with --%s %s",
			d.Name, d.Addr, d.Flag, freer(d.Addr))
	}
	return fmt.Errorf("%s cannot listen on %s: %w; choose another address with --%s", d.Name, d.Addr, err, d.Flag)
}

// freer proposes another port of the same host.
func freer(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, "0")
}
