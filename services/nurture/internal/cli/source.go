package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

func newSource() *cobra.Command {
	return group("source", "Look at who may send, let new ones in, change their keys",
		newSourceList(), newSourceCreate(), newSourceRotate(), newSourceTest())
}

func newSourceList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the sources, where they send, and what came of it", Args: noArgs}
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(c ingestv1.IngestServiceClient) error {
			got, err := c.ListSources(cmd.Context(), &ingestv1.ListSourcesRequest{})
			if err != nil {
				return err
			}
			return printSources(cmd, got)
		})
	}
	return cmd
}

func printSources(cmd *cobra.Command, got *ingestv1.ListSourcesResponse) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	p := &printer{w: w}
	if got.GetFault() != "" {
		p.f("sources.yaml cannot be used, the former sources stay: %s\n\n", got.GetFault())
	}
	p.f("NAME\tKIND\tADDRESS\tKEYS\tLAST EVENT\tACCEPTED\tDUPLICATE\tREJECTED\tTHROTTLED\n")
	for _, s := range got.GetSources() {
		c := s.GetCounts()
		rejected := uint64(0)
		for _, n := range c.GetRejected() {
			rejected += n
		}
		last := "-"
		if s.GetLastEventAt() != nil {
			last = s.GetLastEventAt().AsTime().Format(time.RFC3339)
		}
		p.f("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\n", s.GetName(), or(s.GetKind(), "-"), or(strings.Join(s.GetAddresses(), " "), "-"),
			keysOf(s), last, c.GetAccepted(), c.GetDuplicate(), rejected, c.GetThrottled())
	}
	p.f("counted by the process asked, since %s\n", got.GetCountedSince().AsTime().Format(time.RFC3339))
	return errors.Join(p.err, w.Flush())
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// keysOf lists what is known of a source's keys, or how many secrets it has.
func keysOf(s *ingestv1.Source) string {
	var list []string
	for _, k := range s.GetKeys() {
		list = append(list, strings.TrimSpace(or(k.GetPrefix(), "(no prefix)")+" "+k.GetCreated()))
	}
	if s.GetSecrets() > 0 {
		list = append(list, fmt.Sprintf("%d secrets", s.GetSecrets()))
	}
	return or(strings.Join(list, ", "), "-")
}

// fileFlag adds --file.
func fileFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("file", "sources.yaml", "the sources file that ingest reads")
}

func newSourceCreate() *cobra.Command {
	cmd := &cobra.Command{Use: "create <name>", Short: "Enter a new source in sources.yaml and make its key or secret", Args: wantArgs("name")}
	file := fileFlag(cmd)
	e := ingest.NewSource{}
	cmd.Flags().StringVar(&e.Title, "title", "", "shown to people")
	cmd.Flags().StringVar(&e.Kind, "kind", "", "dialect of its webhooks; empty: a write key for tracking libraries")
	cmd.Flags().StringToStringVar(&e.Options, "option", nil, "setting of the dialect, as name=value; may be repeated")
	cmd.Flags().BoolVar(&e.Form, "form", false, "it has a form as well")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e.Name = args[0]
		if e.Kind != "" {
			return createHook(cmd, *file, e)
		}
		key, entry, err := makeKey(e.Name)
		if err != nil {
			return err
		}
		e.Key = entry
		if err := ingest.AddSource(*file, e); err != nil {
			return err
		}
		form := ""
		if e.Form {
			form = "Let the form POST to /v1/forms/" + e.Name + ".\n"
		}
		return say(cmd, "created %s in %s; ingest reads it by itself.\nWrite key, shown only now: %s\n%sLet tracking libraries send to ingest with it: as the user name of Basic authorization, or as writeKey.\n", e.Name, *file, key, form)
	}
	return cmd
}

// createHook enters a source of webhooks. What it must be told in secret is kept
// in the environment.
func createHook(cmd *cobra.Command, file string, e ingest.NewSource) error {
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("make secret: %w", err)
	}
	if err := ingest.AddSource(file, e); err != nil {
		return err
	}
	p := &printer{w: cmd.OutOrStdout()}
	p.f("created %s in %s.\n", e.Name, file)
	switch v, secret := e.Secret(), e.Chosen(random); {
	case v == "":
		p.f("It has no secret: its sender signs with a key of its own.\n")
	case secret != "":
		p.f("Start ingest with %s=%s\nand give the sender the same secret; it is shown only now.\n", v, secret)
	default:
		p.f("Start ingest with %s=<what its sender shows to check signatures with>.\n", v)
	}
	credentials := e.Credentials()
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		p.f("Start ingest with %s=<%s>, too.\n", credentials[name], name)
	}
	p.f("Let the sender send to /v1/hooks/%s. docs/howto/connect-%s.md goes through it.\n", e.Name, strings.ReplaceAll(e.Kind, "_", "-"))
	return p.err
}

// makeKey makes a write key that can be told from others by its beginning.
func makeKey(name string) (string, ingest.NewKey, error) {
	random := make([]byte, 20)
	if _, err := rand.Read(random); err != nil {
		return "", ingest.NewKey{}, fmt.Errorf("make key: %w", err)
	}
	text := hex.EncodeToString(random)
	key := "nk_" + name + "_" + text
	sum := sha256.Sum256([]byte(key))
	return key, ingest.NewKey{
		Sum: hex.EncodeToString(sum[:]), Prefix: "nk_" + name + "_" + text[:4], Created: time.Now().UTC().Format(time.DateOnly),
	}, nil
}

func newSourceRotate() *cobra.Command {
	cmd := &cobra.Command{Use: "rotate <name>", Short: "Give a source a second write key, or drop the old one", Args: wantArgs("name")}
	file := fileFlag(cmd)
	drop := cmd.Flags().Bool("drop-old", false, "drop the older of its two keys")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *drop {
			if err := ingest.DropOldKey(*file, args[0]); err != nil {
				return err
			}
			return say(cmd, "dropped the old key of %s: whoever still uses it is refused\n", args[0])
		}
		key, entry, err := makeKey(args[0])
		if err != nil {
			return err
		}
		if err := ingest.RotateKey(*file, args[0], entry); err != nil {
			return err
		}
		return say(cmd, "New write key of %s, shown only now: %s\nBoth keys open it. When all senders use the new one: nurture source rotate %s --drop-old\n", args[0], key, args[0])
	}
	return cmd
}
