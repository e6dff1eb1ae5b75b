package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

func newAccount() *cobra.Command {
	return group("account", "Look at the companies that leads belong to, and put right who belongs to which",
		newAccountShow(), newAccountList(), newAccountJoin(), newAccountRemove())
}

// onAccounts gives a command a client of ingest's accounts.
func onAccounts(cmd *cobra.Command, run func(ctx context.Context, c ingestv1.AccountServiceClient, w io.Writer, args []string) error) *cobra.Command {
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		return run(cmd.Context(), p.accounts, cmd.OutOrStdout(), args)
	}
	return cmd
}

func newAccountShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show <domain, account id, system:id or group id>", Short: "Tell what is known of one company, and which leads belong to it", Args: wantArgs("account"),
		Long: "What has a dot is a domain, what has a colon the company's id in another system like hubspot:77, 32 hexadecimal\n" +
			"digits an account's id. A group's id is that of the source which calls it so: name the source with --source.",
	}
	source := cmd.Flags().String("source", "", "the source whose group it is")
	limit := cmd.Flags().Int32("leads", 20, "how many leads to list, 1 to 1000")
	return onAccounts(cmd, func(ctx context.Context, c ingestv1.AccountServiceClient, w io.Writer, args []string) error {
		req, err := accountNamed(args[0], *source)
		if err != nil {
			return err
		}
		req.PageSize = *limit
		got, err := c.GetAccount(ctx, req)
		if status.Code(err) == codes.NotFound {
			return errNoAccount
		}
		if err != nil {
			return fmt.Errorf("ask ingest: %w", err)
		}
		return printAccount(w, got)
	})
}

var (
	errNoAccount  = errors.New("nobody told of this account: it comes with the first lead that has an address there or is in the group")
	errWhoseGroup = errors.New("a group's id is that of a source: name it with --source")
)

// accountNamed is the question for what looks like one of an account's names.
func accountNamed(name, source string) (*ingestv1.GetAccountRequest, error) {
	switch {
	case source != "":
		return &ingestv1.GetAccountRequest{GroupId: name, Source: source}, nil
	case regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(name):
		return &ingestv1.GetAccountRequest{AccountId: name}, nil
	case strings.Contains(name, "://"), strings.Contains(name, ".") && !strings.Contains(name, ":"):
		return &ingestv1.GetAccountRequest{Domain: name}, nil
	case strings.Contains(name, ":"):
		return &ingestv1.GetAccountRequest{ExternalId: name}, nil
	}
	return nil, errWhoseGroup
}

func printAccount(out io.Writer, got *ingestv1.GetAccountResponse) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p := &printer{w: w}
	acc, c := got.GetAccount(), got.GetAccount().GetCompany()
	p.f("ACCOUNT\t%s\n", acc.GetAccountId())
	employees := ""
	if c.GetEmployees() > 0 {
		employees = fmt.Sprint(c.GetEmployees())
	}
	for _, f := range [][2]string{
		{"name", c.GetName()},
		{"domain", c.GetDomain()},
		{"website", c.GetWebsite()},
		{"industry", c.GetIndustry()},
		{"employees", employees},
		{"country", c.GetCountry()},
		{"plan", c.GetPlan()},
	} {
		if f[1] != "" {
			p.f("  %s\t%s\n", f[0], f[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.GetAttributes())) {
		p.f("  %s\t%s\n", name, c.GetAttributes()[name])
	}
	p.f("  known since\t%s\n", clock(acc.GetCreatedAt()))
	for _, k := range acc.GetKeys() {
		p.f("  known as\t%s since %s\n", keyName(k), clock(k.GetSince()))
	}
	for _, k := range acc.GetConflicts() {
		p.f("  conflict\t%s belongs to account %s: perhaps the two are one company\n", keyName(k.GetKey()), k.GetAccountId())
	}
	p.f("LEADS\t%d\n", got.GetLeads())
	for _, lead := range got.GetLeadIds() {
		p.f("  %s\n", lead)
	}
	if got.GetNextPageToken() != "" {
		p.f("  ... and %d more: --leads lists up to 1000\n", int(got.GetLeads())-len(got.GetLeadIds()))
	}
	return errors.Join(p.err, w.Flush())
}

// keyName is a key as people read it.
func keyName(k *ingestv1.AccountKey) string {
	value := k.GetValue()
	if value == "" {
		value = "(not shown: it looks like a person's)"
	}
	switch k.GetKind() {
	case ingestv1.AccountKey_KIND_GROUP:
		return "group " + value + " of source " + k.GetSource()
	case ingestv1.AccountKey_KIND_EXTERNAL_ID:
		return "id " + value
	case ingestv1.AccountKey_KIND_DOMAIN, ingestv1.AccountKey_KIND_UNSPECIFIED:
	}
	return "domain " + value
}

func newAccountList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the companies that leads belong to, oldest first", Args: noArgs}
	return onAccounts(cmd, func(ctx context.Context, c ingestv1.AccountServiceClient, out io.Writer, _ []string) error {
		w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		p := &printer{w: w}
		p.f("ACCOUNT\tLEADS\tDOMAIN\tNAME\tCONFLICTS\n")
		for token := ""; ; {
			got, err := c.ListAccounts(ctx, &ingestv1.ListAccountsRequest{PageSize: 500, PageToken: token})
			if err != nil {
				return fmt.Errorf("ask ingest: %w", err)
			}
			for _, a := range got.GetAccounts() {
				c := a.GetAccount().GetCompany()
				p.f("%s\t%d\t%s\t%s\t%d\n", a.GetAccount().GetAccountId(), a.GetLeads(), c.GetDomain(), c.GetName(), len(a.GetAccount().GetConflicts()))
			}
			if token = got.GetNextPageToken(); token == "" {
				return errors.Join(p.err, w.Flush())
			}
		}
	})
}

// printCompany names the company a lead belongs to.
func (s *biography) printCompany(p *printer) {
	acc := s.account.GetAccount()
	if acc == nil {
		return
	}
	name := strings.TrimSpace(acc.GetCompany().GetName() + " " + acc.GetCompany().GetDomain())
	others := "nobody else known"
	if n := int(s.account.GetLeads()) - 1; n > 0 {
		others = fmt.Sprintf("%d more known", n)
	}
	p.f("  account\t%s  %s (by %s; %s)\n", acc.GetAccountId(), name, strings.ReplaceAll(s.lead.GetAccountBy(), "_", " "), others)
}
