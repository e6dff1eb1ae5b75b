package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

func newRejects() *cobra.Command {
	return group("rejects", "Look at what sources sent and ingest did not take, and decide about it",
		newRejectsList(), newRejectsShow(), newRejectsRedrive(), newRejectsDismiss())
}

func newRejectsList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List what was refused and why, oldest first", Args: noArgs}
	a := addrFlags(cmd)
	req := &ingestv1.ListRejectsRequest{}
	cmd.Flags().StringVar(&req.Source, "source", "", "of this source only")
	cmd.Flags().StringVar(&req.Reason, "reason", "", "undecodable, invalid, refused or quarantined only")
	cmd.Flags().Int32Var(&req.Limit, "limit", 100, "at most this many")
	cmd.Flags().Uint64Var(&req.After, "after", 0, "only those after this id")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(c ingestv1.IngestServiceClient) error {
			got, err := c.ListRejects(cmd.Context(), req)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			p := &printer{w: w}
			if len(got.GetRejects()) == 0 {
				p.f("nothing was rejected\n")
			} else {
				p.f("ID\tSOURCE\tKIND\tREASON\tAT\tBYTES\tWHAT IS WRONG\n")
			}
			for _, r := range got.GetRejects() {
				p.f("%d\t%s\t%s\t%s\t%s\t%d\t%s\n", r.GetRejectId(), r.GetSource(), r.GetKind(), r.GetReason(),
					r.GetAt().AsTime().Format(time.RFC3339), r.GetBytes(), wrong(r.GetFaults()))
			}
			if got.GetMore() {
				p.f("there are more: --after %d\n", got.GetRejects()[len(got.GetRejects())-1].GetRejectId())
			}
			return errors.Join(p.err, w.Flush())
		})
	}
	return cmd
}

// ask talks to ingest.
func (a *addrs) ask(do func(ingestv1.IngestServiceClient) error) error {
	p, err := a.dial()
	if err != nil {
		return err
	}
	defer p.close()
	return do(p.ingest)
}

func wrong(faults []*ledgerv1.Fault) string {
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = strings.TrimPrefix(f.GetField()+": "+f.GetMessage(), ": ")
	}
	return strings.Join(texts, "; ")
}

func newRejectsShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show <id>", Short: "Show one reject with what was sent: a person's data", Args: wantArgs("id")}
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.reject(args[0], func(c ingestv1.IngestServiceClient, id uint64) error {
			got, err := c.GetReject(cmd.Context(), &ingestv1.GetRejectRequest{RejectId: id})
			if err != nil {
				return err
			}
			return printReject(cmd.OutOrStdout(), got.GetReject())
		})
	}
	return cmd
}

func printReject(out io.Writer, r *ingestv1.Reject) error {
	p := &printer{w: out}
	p.f("reject %d of %s: %s, to be read as %s\n", r.GetRejectId(), r.GetSource(), r.GetReason(), r.GetKind())
	p.f("received %s\n", r.GetAt().AsTime().Format(time.RFC3339Nano))
	for _, f := range r.GetFaults() {
		p.f("wrong    %s\n", wrong([]*ledgerv1.Fault{f}))
	}
	for _, name := range slices.Sorted(maps.Keys(r.GetAbout())) {
		p.f("about    %s: %s\n", name, r.GetAbout()[name])
	}
	p.f("sent     %d bytes: %s\n", len(r.GetRaw()), sent(r))
	return p.err
}

// sent is what was sent as a person reads it: a message as JSON, anything else as
// it is, on one line. What a terminal would obey is not shown as it is.
func sent(r *ingestv1.Reject) string {
	in := &ingestv1.Inbound{}
	if r.GetKind() != "inbound" || r.GetAbout()["Content-Type"] != "application/x-protobuf" || proto.Unmarshal(r.GetRaw(), in) != nil {
		return strconv.Quote(string(r.GetRaw()))
	}
	raw, err := protojson.Marshal(in)
	var text bytes.Buffer
	if err = errors.Join(err, json.Indent(&text, raw, "", "  ")); err != nil { // without the blanks that protojson puts in at random
		return strconv.Quote(string(r.GetRaw()))
	}
	return strings.Map(func(c rune) rune {
		if c != '\n' && !strconv.IsPrint(c) {
			return '\ufffd'
		}
		return c
	}, text.String())
}

// reject reads the number of a reject.
func (a *addrs) reject(text string, do func(ingestv1.IngestServiceClient, uint64) error) error {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return fmt.Errorf("%q is not the number of a reject: see the first column of `nurture rejects list`", text)
	}
	return a.ask(func(c ingestv1.IngestServiceClient) error { return do(c, id) })
}

func newRejectsRedrive() *cobra.Command {
	cmd := &cobra.Command{
		Use: "redrive <id|all>", Short: "Have it read again by the source's present configuration", Args: wantArgs("id"),
	}
	a := addrFlags(cmd)
	source := cmd.Flags().String("source", "", "with all: those of this source only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "all" {
			return a.ask(func(c ingestv1.IngestServiceClient) error { return redriveRejects(cmd, c, *source) })
		}
		return a.reject(args[0], func(c ingestv1.IngestServiceClient, id uint64) error {
			got, err := c.RedriveReject(cmd.Context(), &ingestv1.RedriveRejectRequest{RejectId: id})
			if err != nil {
				return err
			}
			if !got.GetTaken() {
				return fmt.Errorf("reject %d stays: %s", id, wrong(got.GetFaults()))
			}
			if len(got.GetLeadIds()) == 0 { // it was for a worker, or tells nothing of a lead
				return say(cmd, "redriven %d\n", id)
			}
			return say(cmd, "redriven %d: recorded for lead %s\n", id, strings.Join(got.GetLeadIds(), ", "))
		})
	}
	return cmd
}

// redriveRejects has all rejects of a source read again; what is still wrong stays.
func redriveRejects(cmd *cobra.Command, c ingestv1.IngestServiceClient, source string) error {
	taken, stay := 0, 0
	err := everyReject(cmd.Context(), c, source, func(id uint64) error {
		got, err := c.RedriveReject(cmd.Context(), &ingestv1.RedriveRejectRequest{RejectId: id})
		switch {
		case err != nil:
			return err
		case got.GetTaken():
			taken++
		default:
			stay++
		}
		return nil
	})
	return errors.Join(err, say(cmd, "redriven %d, %d stay: see `nurture rejects list`\n", taken, stay))
}

// everyReject visits the rejects page by page. Quarantined ones are left out:
// whether a person sent them only a person can say.
func everyReject(ctx context.Context, c ingestv1.IngestServiceClient, source string, visit func(id uint64) error) error {
	req := &ingestv1.ListRejectsRequest{Source: source, Limit: 500}
	for {
		got, err := c.ListRejects(ctx, req)
		if err != nil {
			return err
		}
		for _, r := range got.GetRejects() {
			req.After = r.GetRejectId()
			if r.GetReason() == "quarantined" {
				continue
			}
			if err := visit(r.GetRejectId()); err != nil {
				return err
			}
		}
		if !got.GetMore() {
			return nil
		}
	}
}

func newRejectsDismiss() *cobra.Command {
	cmd := &cobra.Command{Use: "dismiss <id>", Short: "Take one off the list for good and delete what was sent", Args: wantArgs("id")}
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.reject(args[0], func(c ingestv1.IngestServiceClient, id uint64) error {
			if _, err := c.DismissReject(cmd.Context(), &ingestv1.DismissRejectRequest{RejectId: id}); err != nil {
				return err
			}
			return say(cmd, "dismissed %d\n", id)
		})
	}
	return cmd
}
