package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// ErrUnfinished: part of an erasure still has to be done.
var ErrUnfinished = errors.New("the erasure goes on")

// eraseWithin bounds the wait for an erasure; it goes on without us.
const eraseWithin = time.Minute

func newLeadErase() *cobra.Command {
	cmd := &cobra.Command{
		Use: "erase <lead id or e-mail>", Short: "Forget a person: everything of the lead, everywhere; print the certificate", Args: wantArgs("id"),
		Long: "Replace the lead's records by tombstones in every service, remove its identities, destroy its data key,\n" +
			"overwrite its old messages, parked messages and caches, and tell the CRM. It cannot be undone. Asking again\n" +
			"prints the certificate. The exit code is 1 while something is left to do, which goes on by itself.",
	}
	a := addrFlags(cmd)
	by := cmd.Flags().String("by", "", "who asked for it, e.g. a ticket; no names: it is kept in the certificate")
	reason := cmd.Flags().String("reason", "request", "named reason for the certificate")
	yes := cmd.Flags().Bool("yes", false, "do it: without this, nothing is done")
	file := cmd.Flags().String("certificate", "", "file that the certificate is also written to, as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes {
			return fmt.Errorf("erasing lead %s cannot be undone: add --yes to do it", args[0])
		}
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		ctx, cancel := context.WithTimeout(cmd.Context(), eraseWithin)
		defer cancel()
		id, err := leadNamed(ctx, p.ingest, args[0])
		if err != nil {
			return err
		}
		r, err := p.ingest.EraseLead(ctx, &ingestv1.EraseLeadRequest{LeadId: id, RequestedBy: *by, Reason: *reason})
		if err != nil {
			return askedIngest(err, id)
		}
		return certify(cmd.OutOrStdout(), r.GetErasure(), *file)
	}
	return cmd
}

func newLeadErasure() *cobra.Command {
	cmd := &cobra.Command{
		Use: "erasure <lead id>", Short: "Print the certificate of a lead that was erased", Args: wantArgs("id"),
	}
	a := addrFlags(cmd)
	file := cmd.Flags().String("certificate", "", "file that the certificate is also written to, as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		r, err := p.ingest.GetErasure(cmd.Context(), &ingestv1.GetErasureRequest{LeadId: args[0]})
		if err != nil {
			return askedIngest(err, args[0])
		}
		return certify(cmd.OutOrStdout(), r.GetErasure(), *file)
	}
	return cmd
}

func askedIngest(err error, id string) error {
	if status.Code(err) == codes.NotFound {
		return fmt.Errorf("%s (lead %q)", status.Convert(err).Message(), id)
	}
	return fmt.Errorf("ask ingest: %w", err)
}

// certify shows a certificate to a person and keeps it for machines.
func certify(out io.Writer, c *ingestv1.Erasure, file string) error {
	if file != "" {
		raw, err := protojson.MarshalOptions{Multiline: true, Indent: "  "}.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode certificate: %w", err)
		}
		if err := os.WriteFile(file, append(raw, '\n'), 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	if err := printErasure(out, c); err != nil {
		return err
	}
	if c.GetFinishedAt() == nil {
		return fmt.Errorf("%w: see the steps that are pending, and ask again with: nurture lead erasure %s", ErrUnfinished, c.GetLeadId())
	}
	return nil
}

func printErasure(out io.Writer, c *ingestv1.Erasure) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p := &printer{w: w}
	p.f("ERASURE\tlead %s\n", c.GetLeadId())
	for _, lead := range c.GetLeadIds() {
		if lead != c.GetLeadId() {
			p.f("  same person\tlead %s\n", lead)
		}
	}
	p.f("  requested\t%s %s (%s)\n", clock(c.GetRequestedAt()), c.GetRequestedBy(), c.GetReason())
	if c.GetFinishedAt() != nil {
		p.f("  finished\t%s\n", clock(c.GetFinishedAt()))
	}
	p.f("STEPS\n")
	broken := false
	for _, s := range c.GetSteps() {
		note := s.GetNote()
		if s.GetInterrupted() {
			note, broken = note+"; broke off and was done again", true
		}
		p.f("  %s\t%s\t%d\t%s\t%s\n", s.GetName(), plain(s.GetStatus().String(), "ERASURE_STATUS_"), s.GetRemoved(), clock(s.GetAt()), note)
	}
	if broken {
		p.f("NOTE\tthe log's server may have kept the bytes of one message of each step that broke off: see docs/howto/privacy.md\n")
	}
	return errors.Join(p.err, w.Flush())
}

// newKeys manages the keys that the leads' data keys are wrapped in.
func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rewrap", Short: "Wrap every lead's data key in the newest key of ingest, so that former ones are not needed any more", Args: noArgs,
		Long: "To replace the key: put the new one before the old one in data_key, restart every ingest, rewrap, then take\n" +
			"the old one out. What is left of it in backups cannot open what was sealed since.",
	}
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		r, err := p.ingest.RewrapKeys(cmd.Context(), &ingestv1.RewrapKeysRequest{})
		if err != nil {
			return fmt.Errorf("ask ingest: %w", err)
		}
		pr := &printer{w: cmd.OutOrStdout()}
		pr.f("rewrapped=%d current=%d wrapped_by=%s\n", r.GetRewrapped(), r.GetCurrent(), r.GetWrappedBy())
		return pr.err
	}
	return group("keys", "Manage the keys that personal data is sealed under", cmd)
}
