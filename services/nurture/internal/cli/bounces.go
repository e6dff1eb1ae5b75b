package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// maxReturn is the largest mail that ingest reads, in bytes. Of a larger one the
// beginning is given: reports say what matters first.
const maxReturn = 2 << 20

func newBounces() *cobra.Command {
	return group("bounces", "Read mails that came back", newBouncesRead())
}

func newBouncesRead() *cobra.Command {
	cmd := &cobra.Command{
		Use: "read <mailbox>", Short: "Give ingest the mails of a Maildir or an mbox file", Args: wantArgs("mailbox"),
		Long: "Of a Maildir the new mails are read, and each is moved to cur when what it says is on disk.\n" +
			"An mbox file is left as it is. Reading a mail twice has one effect.",
	}
	a := addrFlags(cmd)
	trusted := cmd.Flags().Bool("trusted", false, "believe reports without our signature: nobody but your own mail servers writes to this mailbox")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(c ingestv1.IngestServiceClient) error {
			r := &returns{tally: map[string]int{}, take: func(raw []byte) (*ingestv1.TakeReturnResponse, error) {
				return c.TakeReturn(cmd.Context(), &ingestv1.TakeReturnRequest{Mail: raw, Recipient: recipient(raw), Trusted: *trusted})
			}}
			err := r.read(cmd.Context(), args[0])
			return errors.Join(err, r.print(cmd.OutOrStdout()))
		})
	}
	return cmd
}

// returns gives the mails of a mailbox to ingest.
type returns struct {
	take  func(mail []byte) (*ingestv1.TakeReturnResponse, error)
	tally map[string]int
}

func (r *returns) read(ctx context.Context, mailbox string) error {
	info, err := os.Stat(mailbox)
	switch {
	case err != nil:
		return fmt.Errorf("open mailbox: %w", err)
	case info.IsDir():
		return r.maildir(ctx, mailbox)
	}
	f, err := os.Open(mailbox) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("open mailbox: %w", err)
	}
	defer func() { _ = f.Close() }()
	return r.mbox(ctx, f)
}

// maildir reads what is new in a Maildir, the oldest first.
func (r *returns) maildir(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(filepath.Join(dir, "new"))
	if err != nil {
		return fmt.Errorf("%s is no Maildir: %w", dir, err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return fmt.Errorf("read mailbox: %w", ctx.Err())
		}
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, "new", e.Name())
		raw, err := beginning(path)
		if err != nil {
			return err
		}
		if err := r.one(e.Name(), raw); err != nil {
			return err
		}
		if err := os.Rename(path, filepath.Join(dir, "cur", e.Name()+":2,S")); err != nil {
			return fmt.Errorf("mark mail as seen: %w", err)
		}
	}
	return nil
}

func beginning(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // in the mailbox that the user names
	if err != nil {
		return nil, fmt.Errorf("open mail: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxReturn))
	if err != nil {
		return nil, fmt.Errorf("read mail: %w", err)
	}
	return raw, nil
}

// mbox reads a file of mails (RFC 4155, and its dialect that writes ">From ").
func (r *returns) mbox(ctx context.Context, file io.Reader) error {
	lines := bufio.NewReader(file)
	var mail bytes.Buffer
	number, blank := 0, true
	end := func() error {
		defer mail.Reset()
		if number == 0 || mail.Len() == 0 {
			return nil
		}
		return r.one(fmt.Sprintf("mail %d", number), bytes.Clone(mail.Bytes()[:min(mail.Len(), maxReturn)]))
	}
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case blank && bytes.HasPrefix(line, []byte("From ")):
			if err := errors.Join(end(), ctx.Err()); err != nil {
				return err
			}
			number++
		case number == 0 && len(line) > 0:
			return errors.New("expected an mbox file, whose first line begins with \"From \", or a directory that is a Maildir")
		case mail.Len() < maxReturn:
			mail.Write(unquoted(line))
		}
		blank = len(bytes.TrimSpace(line)) == 0
		if errors.Is(err, io.EOF) {
			return end()
		}
		if err != nil {
			return fmt.Errorf("read mailbox: %w", err)
		}
	}
}

// unquoted takes the sign away that keeps a line of a mail from looking like the
// beginning of the next one.
func unquoted(line []byte) []byte {
	if rest := bytes.TrimLeft(line, ">"); len(rest) < len(line) && bytes.HasPrefix(rest, []byte("From ")) {
		return line[1:]
	}
	return line
}

// one gives one mail to ingest and counts what became of it.
func (r *returns) one(name string, raw []byte) error {
	got, err := r.take(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	what := "recorded"
	switch {
	case got.GetParked() != "":
		what = "kept as rejects of source bounces"
	case got.GetDuplicate():
		what = "known already"
	case got.GetLeadId() == "":
		what = "of no interest"
	}
	r.tally[got.GetVerdict()+" "+what]++
	return nil
}

func (r *returns) print(w io.Writer) error {
	p := &printer{w: w}
	if len(r.tally) == 0 {
		p.f("no mail was read\n")
	}
	for _, what := range slices.Sorted(maps.Keys(r.tally)) {
		p.f("%5d %s\n", r.tally[what], what)
	}
	return p.err
}

// recipient is whom a mail was delivered to, as its last server noted it.
func recipient(raw []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return ""
	}
	for _, name := range [...]string{"Delivered-To", "X-Original-To", "Envelope-To", "To"} {
		if a, err := mail.ParseAddress(m.Header.Get(name)); err == nil {
			return a.Address
		}
	}
	return ""
}
