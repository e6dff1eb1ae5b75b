package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// suppressBatch is how many addresses go to ingest at once.
const suppressBatch = 200

func newSuppress() *cobra.Command {
	return group("suppress", "Addresses that get no mail, whoever has them",
		newSuppressAdd(), newSuppressRemove(), newSuppressList(), newSuppressCheck(), newSuppressImport())
}

// onIngest makes a command that asks ingest.
func onIngest(cmd *cobra.Command, run func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error) *cobra.Command {
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		return run(cmd.Context(), p.ingest, cmd.OutOrStdout(), args)
	}
	return cmd
}

// act says who does something and why.
type act struct{ by, note, reason, source string }

func actFlags(cmd *cobra.Command, note string) *act {
	a := &act{}
	me := "somebody"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	cmd.Flags().StringVar(&a.by, "by", me, "who does it")
	cmd.Flags().StringVar(&a.note, "note", "", note)
	return a
}

func (a *act) reasonFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.reason, "reason", "manual", "manual, unsubscribed, hard_bounce or complaint")
	cmd.Flags().StringVar(&a.source, "source", "cli", "where it comes from")
}

func (a *act) request(emails []string) (*ingestv1.AddSuppressionsRequest, error) {
	reason := leadv1.Suppression(leadv1.Suppression_value["SUPPRESSION_"+strings.ToUpper(a.reason)])
	if reason == leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		return nil, fmt.Errorf("--reason %q: write manual, unsubscribed, hard_bounce or complaint", a.reason)
	}
	return &ingestv1.AddSuppressionsRequest{Emails: emails, Reason: reason, Source: a.source, By: a.by, Note: a.note}, nil
}

func newSuppressAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add <email>", Short: "Forbid mails to an address, now and for every later lead", Args: wantArgs("email")}
	a := actFlags(cmd, "why")
	a.reasonFlag(cmd)
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error {
		req, err := a.request(args)
		if err != nil {
			return err
		}
		resp, err := c.AddSuppressions(ctx, req)
		if err != nil {
			return err
		}
		p := &printer{w: w}
		switch {
		case len(resp.GetInvalid()) > 0:
			return fmt.Errorf("%q is no e-mail address", args[0])
		case resp.GetAdded() > 0:
			p.f("suppressed\n")
		default:
			p.f("was suppressed already, for as strong a reason\n")
		}
		return p.err
	})
}

func newSuppressRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "remove <email>", Short: "Lift a suppression; what the person said about each purpose stays", Args: wantArgs("email")}
	a := actFlags(cmd, "why; a removal has to be explained")
	force := cmd.Flags().Bool("force", false, "also lift a complaint")
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error {
		if a.note == "" {
			return fmt.Errorf("say why with --note: a removal is kept as an act of its own")
		}
		resp, err := c.RemoveSuppression(ctx, &ingestv1.RemoveSuppressionRequest{Email: args[0], By: a.by, Note: a.note, Force: *force})
		if err != nil {
			return err
		}
		p := &printer{w: w}
		if resp.GetRemoved() {
			p.f("lifted\n")
		} else {
			p.f("was not on the list\n")
		}
		return p.err
	})
}

func newSuppressCheck() *cobra.Command {
	cmd := &cobra.Command{Use: "check <email>", Short: "Say whether an address is on the list", Args: wantArgs("email")}
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error {
		resp, err := c.CheckSuppression(ctx, &ingestv1.CheckSuppressionRequest{Email: args[0]})
		if err != nil {
			return err
		}
		p := &printer{w: w}
		switch {
		case resp.GetSuppressed():
			p.f("suppressed: %s\n", entryLine(resp.GetEntry()))
		case resp.GetEntry() != nil:
			p.f("lifted: %s\n", entryLine(resp.GetEntry()))
		default:
			p.f("not on the list\n")
		}
		return p.err
	})
}

func newSuppressList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the entries by their keyed hashes: nobody can read an address out of them", Args: noArgs}
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, _ []string) error {
		p := &printer{w: w}
		for after := uint64(0); ; {
			resp, err := c.ListSuppressions(ctx, &ingestv1.ListSuppressionsRequest{After: after, Limit: 500})
			if err != nil {
				return err
			}
			for _, s := range resp.GetSuppressions() {
				p.f("%s  %s\n", s.GetHash(), entryLine(s.GetEntry()))
			}
			if after = resp.GetNext(); after == 0 || p.err != nil {
				return p.err
			}
		}
	})
}

func entryLine(e *ingestv1.SuppressionEntry) string {
	line := suppressionName(e.GetReason()) + " since " + e.GetAt().AsTime().Format(time.RFC3339)
	if e.GetLifted() {
		line = suppressionName(e.GetReason()) + ", lifted " + e.GetAt().AsTime().Format(time.RFC3339)
	}
	for _, part := range []struct{ name, value string }{{"source", e.GetSource()}, {"by", e.GetBy()}, {"note", e.GetNote()}} {
		if part.value != "" {
			line += fmt.Sprintf(", %s %s", part.name, part.value)
		}
	}
	return line
}

func suppressionName(s leadv1.Suppression) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "SUPPRESSION_"))
}

func newSuppressImport() *cobra.Command {
	cmd := &cobra.Command{Use: "import <file>", Short: "Add every address of a file, one a line", Args: wantArgs("file")}
	a := actFlags(cmd, "why, e.g. where the file comes from")
	a.reasonFlag(cmd)
	return onIngest(cmd, func(ctx context.Context, c ingestv1.IngestServiceClient, w io.Writer, args []string) error {
		lines, err := addressLines(args[0])
		if err != nil {
			return err
		}
		return importSuppressions(ctx, c, &printer{w: w}, lines, a)
	})
}

// addressLine is an address and the line it stands in.
type addressLine struct {
	n    int
	text string
}

// addressLines reads a file: one address a line, empty lines and # comments skipped.
func addressLines(path string) (lines []addressLine, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open suppression file: %w", err)
	}
	defer func() { _ = f.Close() }()
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		if text := strings.TrimSpace(scan.Text()); text != "" && !strings.HasPrefix(text, "#") {
			lines = append(lines, addressLine{n, text})
		}
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("read suppression file: %w", err)
	}
	return lines, nil
}

// importSuppressions sends the addresses in groups and says which lines are none.
func importSuppressions(ctx context.Context, c ingestv1.IngestServiceClient, p *printer, lines []addressLine, a *act) error {
	var added, known, bad uint32
	for some := range slices.Chunk(lines, suppressBatch) {
		emails := make([]string, len(some))
		for i, l := range some {
			emails[i] = l.text
		}
		req, err := a.request(emails)
		if err != nil {
			return err
		}
		resp, err := c.AddSuppressions(ctx, req)
		if err != nil {
			return err
		}
		added, known = added+resp.GetAdded(), known+resp.GetKnown()
		for _, i := range resp.GetInvalid() {
			bad++
			p.f("line %d is no e-mail address\n", some[i].n)
		}
	}
	p.f("%d added, %d known, %d refused\n", added, known, bad)
	return p.err
}
