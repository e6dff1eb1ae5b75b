package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// Kinds of identities, as --kind names them.
const (
	kindEmail     = "email"
	kindPhone     = "phone"
	kindUser      = "user"
	kindAnonymous = "anonymous"
	kindExternal  = "external"
	kindLead      = "lead"
)

func kinds() []string {
	return []string{kindEmail, kindPhone, kindUser, kindAnonymous, kindExternal, kindLead}
}

// errNobody: an identity is unknown. It does not repeat it: logs keep what is printed.
var errNobody = errors.New("nobody has this address, number or id: look at the spelling; who was erased is not found either")

func newLeadFind() *cobra.Command {
	cmd := &cobra.Command{
		Use: "find <email, phone, user id or system:id>", Short: "Say which lead somebody is, by an address, a number or an id", Args: wantArgs("identity"),
		Long: "What has an @ is an e-mail address, what begins with + a phone number, what has a colon the id in another\n" +
			"system like hubspot:123, anything else the id of a user or of a browser. --kind says it where that is wrong.",
	}
	kind := cmd.Flags().String("kind", "", "what it is: "+strings.Join(kinds(), ", ")+" (default: as it looks)")
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error {
		asks, err := lookups(*kind, args[0])
		if err != nil {
			return err
		}
		found, err := lookup(ctx, c, asks)
		if err != nil {
			return err
		}
		return printFound(&printer{w: w}, found)
	})
}

// printFound says who it is in a line: the id first, for other commands.
func printFound(p *printer, found *ingestv1.LookupLeadResponse) error {
	l := found.GetLead()
	p.f("%s  %s  %s\n", l.GetLeadId(), l.GetProfile().GetEmail(), strings.TrimSpace(l.GetProfile().GetFirstName()+" "+l.GetProfile().GetLastName()))
	if found.GetOriginLeadId() != "" {
		p.f("found as %s, which is merged into this one\n", found.GetOriginLeadId())
	}
	return p.err
}

// lookups are the questions that a text may be, the likeliest first.
func lookups(kind, text string) ([]*ingestv1.LookupLeadRequest, error) {
	switch {
	case kind == kindEmail, kind == "" && strings.Contains(text, "@"):
		return []*ingestv1.LookupLeadRequest{{Email: text}}, nil
	case kind == kindPhone, kind == "" && strings.HasPrefix(text, "+"):
		return []*ingestv1.LookupLeadRequest{{Phone: text}}, nil
	case kind == kindExternal, kind == "" && strings.Contains(text, ":"):
		return []*ingestv1.LookupLeadRequest{{ExternalId: text}}, nil
	case kind == kindLead, kind == "" && regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(text):
		return []*ingestv1.LookupLeadRequest{{LeadId: text}}, nil
	case kind == kindUser:
		return []*ingestv1.LookupLeadRequest{{UserId: text}}, nil
	case kind == kindAnonymous:
		return []*ingestv1.LookupLeadRequest{{AnonymousId: text}}, nil
	case kind == "":
		return []*ingestv1.LookupLeadRequest{{UserId: text}, {AnonymousId: text}}, nil
	}
	return nil, fmt.Errorf("--kind %q: expected one of %s", kind, strings.Join(kinds(), ", "))
}

// lookup asks one after the other until somebody is found.
func lookup(ctx context.Context, c ingestv1.IngestServiceClient, asks []*ingestv1.LookupLeadRequest) (*ingestv1.LookupLeadResponse, error) {
	for _, ask := range asks {
		found, err := c.LookupLead(ctx, ask)
		if err == nil {
			return found, nil
		}
		if status.Code(err) != codes.NotFound {
			return nil, fmt.Errorf("ask ingest: %w", err)
		}
	}
	return nil, errNobody
}

// leadNamed gives the id of a lead that is named by it or by an e-mail address.
func leadNamed(ctx context.Context, c ingestv1.IngestServiceClient, name string) (string, error) {
	if !strings.Contains(name, "@") {
		return name, nil
	}
	found, err := lookup(ctx, c, []*ingestv1.LookupLeadRequest{{Email: name}})
	if err != nil {
		return "", err
	}
	return found.GetLead().GetLeadId(), nil
}
