package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

func newAccountJoin() *cobra.Command {
	cmd := &cobra.Command{
		Use: "join <account> <other account>", Short: "Make one account of two that are the same company; it cannot be undone", Args: wantArgs("account", "other account"),
		Long: "Give the first account the people, the domains and ids, and what is known of the second one. The second id\n" +
			"answers to the first from then on. Accounts are named by domain, id, or system:id as in `nurture account show`;\n" +
			"of a group use the account's id. Asking again brings along leads that were left behind.",
	}
	by := cmd.Flags().String("by", "", "who says so, for the record, e.g. a ticket; no names")
	yes := cmd.Flags().Bool("yes", false, "do it: without this, nothing is done")
	return onAccounts(cmd, func(ctx context.Context, c ingestv1.AccountServiceClient, w io.Writer, args []string) error {
		one, err := theAccount(ctx, c, args[0])
		if err != nil {
			return err
		}
		other, err := theAccount(ctx, c, args[1])
		if err != nil {
			return err
		}
		if !*yes {
			return fmt.Errorf("making %s part of %s, with %d leads, cannot be undone: add --yes to do it", calls(other.GetAccount()), calls(one.GetAccount()), other.GetLeads())
		}
		from := other.GetAccount().GetAccountId()
		if named, err := accountNamed(args[1], ""); err == nil && named.GetAccountId() != "" {
			from = named.GetAccountId() // its leads are brought along, also when it was joined before
		}
		got, err := c.JoinAccounts(ctx, &ingestv1.JoinAccountsRequest{AccountId: one.GetAccount().GetAccountId(), FromAccountId: from, By: *by})
		if err != nil {
			return fmt.Errorf("ask ingest: %w", err)
		}
		if got.GetAlready() {
			_, err = fmt.Fprintf(w, "they were one account before: %s\n", calls(got.GetAccount()))
			return err
		}
		_, err = fmt.Fprintf(w, "%s is part of %s now\n", from, calls(got.GetAccount()))
		return err
	})
}

// theAccount asks for an account by what it is called on the command line.
func theAccount(ctx context.Context, c ingestv1.AccountServiceClient, name string) (*ingestv1.GetAccountResponse, error) {
	req, err := accountNamed(name, "")
	if err != nil {
		return nil, fmt.Errorf("%q: name the account by its id, see `nurture account show --source`", name)
	}
	got, err := c.GetAccount(ctx, req)
	if status.Code(err) == codes.NotFound {
		return nil, fmt.Errorf("%s: %w", name, errNoAccount)
	}
	if err != nil {
		return nil, fmt.Errorf("ask ingest: %w", err)
	}
	return got, nil
}

// calls is an account as people read it: its id, and its domain when it has one.
func calls(a *ingestv1.Account) string {
	if d := a.GetCompany().GetDomain(); d != "" {
		return a.GetAccountId() + " (" + d + ")"
	}
	return a.GetAccountId()
}

func newAccountRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove <lead id or e-mail> <account>", Short: "Take a lead out of an account that a group or an id elsewhere put it in", Args: wantArgs("lead", "account"),
		Long: "What was stated until now does not count any more; what the lead's address says does. When its source states\n" +
			"it again the lead is in the account again. Who belongs to an account by their address cannot be removed.",
	}
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		lead, err := leadNamed(cmd.Context(), p.ingest, args[0])
		if err != nil {
			return err
		}
		acc, err := theAccount(cmd.Context(), p.accounts, args[1])
		if err != nil {
			return err
		}
		got, err := p.accounts.RemoveFromAccount(cmd.Context(), &ingestv1.RemoveFromAccountRequest{LeadId: lead, AccountId: acc.GetAccount().GetAccountId()})
		if said := status.Convert(err); said.Code() == codes.FailedPrecondition {
			return fmt.Errorf("lead %s stays: %s", lead, said.Message())
		}
		if err != nil {
			return askedIngest(err, lead)
		}
		if got.GetAccountId() == "" {
			return say(cmd, "lead %s belongs to no account now\n", got.GetLeadId())
		}
		return say(cmd, "lead %s belongs to account %s now\n", got.GetLeadId(), got.GetAccountId())
	}
	return cmd
}
