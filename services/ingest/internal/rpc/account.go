package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// defaultPage is how many are answered at once when nobody says.
const defaultPage = 50

// Directory knows accounts and the leads that belong to them.
type Directory interface {
	// Account finds an account by its id or by one of its keys.
	Account(ctx context.Context, id string, key *ingestv1.AccountKey) (*ingestv1.Account, error)
	// Accounts gives accounts in the order of their ids, those after one, at most
	// limit; more says that there are others.
	Accounts(ctx context.Context, after string, limit int) (page []*ingestv1.Account, more bool, err error)
	// Members gives leads of an account in the order of their ids, those after one,
	// at most limit, and how many there are in all.
	Members(ctx context.Context, account, after string, limit int) (leads []string, all int, err error)
	// Sizes gives how many leads each of these accounts has.
	Sizes(ctx context.Context, accounts []string) (map[string]int, error)
	// Join makes one account of two; already: they were.
	Join(ctx context.Context, into, from, by string) (stays *ingestv1.Account, already bool, err error)
	// Remove takes a lead out of an account that a statement put it in; it gives the
	// lead as it is then.
	Remove(ctx context.Context, lead, account string) (*ingestv1.State, error)
}

// AccountServer answers what is asked about accounts.
type AccountServer struct {
	ingestv1.UnimplementedAccountServiceServer
	accounts Directory
}

// NewAccounts makes a server.
func NewAccounts(d Directory) *AccountServer { return &AccountServer{accounts: d} }

// GetAccount answers an account with the leads that belong to it.
func (s *AccountServer) GetAccount(ctx context.Context, req *ingestv1.GetAccountRequest) (*ingestv1.GetAccountResponse, error) {
	key, faults := accountKey(req)
	if len(faults) > 0 {
		return nil, invalid(faults)
	}
	if req.GetAccountId() != "" {
		if err := possible(req.GetAccountId()); err != nil {
			return nil, fmt.Errorf("get account: %w", err)
		}
	}
	acc, err := s.accounts.Account(ctx, req.GetAccountId(), key)
	if err != nil {
		return nil, fmt.Errorf("get account: %w", err)
	}
	limit := cmp.Or(int(req.GetPageSize()), defaultPage)
	leads, all, err := s.accounts.Members(ctx, acc.GetAccountId(), req.GetPageToken(), limit+1)
	if err != nil {
		return nil, fmt.Errorf("get leads of an account: %w", err)
	}
	resp := &ingestv1.GetAccountResponse{Account: acc, Leads: uint32(all)} //nolint:gosec // a count
	if len(leads) > limit {
		leads = leads[:limit]
		resp.NextPageToken = leads[limit-1]
	}
	resp.LeadIds = leads
	return resp, nil
}

// accountKey reads the one name that an account is asked for by; nil for its id.
func accountKey(req *ingestv1.GetAccountRequest) (*ingestv1.AccountKey, []normal.Fault) {
	var faults []normal.Fault
	given := 0
	for _, name := range [...]string{req.GetAccountId(), req.GetDomain(), req.GetGroupId(), req.GetExternalId()} {
		if name != "" {
			given++
		}
	}
	switch {
	case given != 1:
		faults = append(faults, normal.Fault{Field: "account", Message: "must be named by exactly one of account_id, domain, group_id with source, external_id"})
	case req.GetDomain() != "":
		domain := normal.Site(req.GetDomain())
		if domain == "" {
			return nil, []normal.Fault{{Field: "domain", Message: "is not a domain; expected one that somebody registered, like acme.example"}}
		}
		return &ingestv1.AccountKey{Kind: ingestv1.AccountKey_KIND_DOMAIN, Value: domain}, nil
	case req.GetGroupId() != "" && req.GetSource() == "":
		faults = append(faults, normal.Fault{Field: "source", Message: "is missing; a group's id is that of the source which calls it so"})
	case req.GetGroupId() != "":
		group := &ingestv1.CaptureLeadRequest{Source: req.GetSource(), GroupId: req.GetGroupId()}
		normal.Capture(group, "")
		return &ingestv1.AccountKey{Kind: ingestv1.AccountKey_KIND_GROUP, Source: group.GetSource(), Value: group.GetGroupId()}, nil
	case req.GetExternalId() != "":
		id, err := normal.ExternalID(req.GetExternalId())
		if err != nil {
			return nil, []normal.Fault{{Field: "external_id", Message: err.Error()}}
		}
		return &ingestv1.AccountKey{Kind: ingestv1.AccountKey_KIND_EXTERNAL_ID, Value: id}, nil
	}
	return nil, faults
}

// ListAccounts answers the accounts that leads belong to, oldest first.
func (s *AccountServer) ListAccounts(ctx context.Context, req *ingestv1.ListAccountsRequest) (*ingestv1.ListAccountsResponse, error) {
	page, more, err := s.accounts.Accounts(ctx, req.GetPageToken(), cmp.Or(int(req.GetPageSize()), defaultPage))
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	ids := make([]string, len(page))
	for i, acc := range page {
		ids[i] = acc.GetAccountId()
	}
	sizes, err := s.accounts.Sizes(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("count leads of accounts: %w", err)
	}
	resp := &ingestv1.ListAccountsResponse{Accounts: make([]*ingestv1.AccountSummary, len(page))}
	for i, acc := range page {
		resp.Accounts[i] = &ingestv1.AccountSummary{Account: acc, Leads: uint32(sizes[acc.GetAccountId()])} //nolint:gosec // a count
	}
	if more {
		resp.NextPageToken = ids[len(ids)-1]
	}
	return resp, nil
}

// JoinAccounts makes one account of two.
func (s *AccountServer) JoinAccounts(ctx context.Context, req *ingestv1.JoinAccountsRequest) (*ingestv1.JoinAccountsResponse, error) {
	for _, id := range [...]string{req.GetAccountId(), req.GetFromAccountId()} {
		if err := possible(id); err != nil {
			return nil, fmt.Errorf("join accounts: %w", err)
		}
	}
	acc, already, err := s.accounts.Join(ctx, req.GetAccountId(), req.GetFromAccountId(), cmp.Or(req.GetBy(), byHand))
	if err != nil {
		return nil, fmt.Errorf("join accounts: %w", err)
	}
	return &ingestv1.JoinAccountsResponse{Account: acc, Already: already}, nil
}

// RemoveFromAccount takes a lead out of an account.
func (s *AccountServer) RemoveFromAccount(ctx context.Context, req *ingestv1.RemoveFromAccountRequest) (*ingestv1.RemoveFromAccountResponse, error) {
	for _, id := range [...]string{req.GetAccountId(), req.GetLeadId()} {
		if err := possible(id); err != nil {
			return nil, fmt.Errorf("remove from account: %w", err)
		}
	}
	st, err := s.accounts.Remove(ctx, req.GetLeadId(), req.GetAccountId())
	if errors.Is(err, person.ErrNoStatement) {
		return nil, rpc.Mark(err, codes.FailedPrecondition)
	}
	if err != nil {
		return nil, fmt.Errorf("remove from account: %w", err)
	}
	return &ingestv1.RemoveFromAccountResponse{AccountId: st.GetLead().GetAccountId(), LeadId: st.GetLead().GetLeadId()}, nil
}
