package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nurturehq/nurture/pkg/access"
	accessv1 "github.com/nurturehq/nurture/proto/nurture/access/v1"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

func newAccess() *cobra.Command {
	return group("access", "Say whose tokens open the API, and what they may do",
		newAccessList(), newAccessCreate(), newAccessRevoke(), newAccessRoles())
}

// accessFlag adds --file.
func accessFlag(cmd *cobra.Command) *string {
	def := "access.yaml"
	if env := os.Getenv("NURTURE_ACCESS_FILE"); env != "" {
		def = env
	}
	return cmd.Flags().String("file", def, "the access file that the services read (NURTURE_ACCESS_FILE)")
}

func newAccessCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create <name>", Short: "Make a token and print it, this once", Args: wantArgs("name"),
		Long: "Make a token for a name and enter its hash in the access file, which is made when it is not there.\n" +
			"Without --role the name keeps its roles and has a second token, so that one can follow the other.",
	}
	file := accessFlag(cmd)
	roles := cmd.Flags().StringSlice("role", nil, "what the name may do: "+strings.Join(access.Names(access.Roles()), ", ")+" (nurture access roles)")
	expires := cmd.Flags().String("expires", "", "last day on which the token is good, like 2027-11-25; empty: it does not expire")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e := access.Entry{Name: args[0], Expires: *expires, Created: access.Today(time.Now())}
		for _, name := range *roles {
			role, ok := access.RoleNamed(name)
			if !ok {
				return fmt.Errorf("unknown role %q: use %s", name, strings.Join(access.Names(access.Roles()), ", "))
			}
			e.Roles = append(e.Roles, role)
		}
		token := access.Mint(e.Name)
		if err := changeAccess(*file, func(raw []byte) ([]byte, error) { return access.Added(*file, raw, e, token) }); err != nil {
			return err
		}
		return say(cmd, "entered %s in %s; services that run with NURTURE_ACCESS_FILE=%s read it by themselves.\nToken, shown only now: %s\n",
			e.Name, *file, *file, token)
	}
	return cmd
}

func newAccessRevoke() *cobra.Command {
	cmd := &cobra.Command{Use: "revoke <name or prefix>", Short: "Take one token out, by its prefix, or a name with all of its tokens", Args: wantArgs("name or prefix")}
	file := accessFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := changeAccess(*file, func(raw []byte) ([]byte, error) { return access.Revoked(*file, raw, args[0]) }); err != nil {
			return err
		}
		return say(cmd, "revoked %s: services refuse it within seconds\n", args[0])
	}
	return cmd
}

func newAccessList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List who may use the API", Args: noArgs}
	file := accessFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		raw, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("read access file: %w (name it with --file, or make it with nurture access create)", err)
		}
		book, err := access.Parse(*file, raw)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
		p := &printer{w: w}
		p.f("NAME\tROLES\tTOKEN\tCREATED\tGOOD\n")
		for _, h := range book.Holders() {
			if len(h.Tokens) == 0 {
				p.f("%s\t%s\t-\t-\t-\n", h.Name, strings.Join(access.Names(h.Roles), ","))
			}
			for _, t := range h.Tokens {
				p.f("%s\t%s\t%s\t%s\t%s\n", h.Name, strings.Join(access.Names(h.Roles), ","), or(t.Prefix, "(no prefix)"), or(t.Created, "-"), goodUntil(t))
			}
		}
		return errors.Join(p.err, w.Flush())
	}
	return cmd
}

// goodUntil says until when a token is good.
func goodUntil(t access.Token) string {
	switch {
	case t.Expires.IsZero():
		return "until revoked"
	case t.Expired(time.Now()):
		return "expired"
	}
	return "through " + t.Expires.AddDate(0, 0, -1).Format(time.DateOnly)
}

func newAccessRoles() *cobra.Command {
	cmd := &cobra.Command{Use: "roles", Short: "List the roles and the calls that need each", Args: noArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		calls := map[access.Role][]string{}
		for _, file := range []protoreflect.FileDescriptor{
			ingestv1.File_nurture_ingest_v1_ingest_proto, ingestv1.File_nurture_ingest_v1_account_proto, ingestv1.File_nurture_ingest_v1_words_proto, scoringv1.File_nurture_scoring_v1_scoring_proto,
			campaignv1.File_nurture_campaign_v1_campaign_proto, handoffv1.File_nurture_handoff_v1_handoff_proto,
		} {
			methods := file.Services().Get(0).Methods()
			for i := range methods.Len() {
				need, _ := proto.GetExtension(methods.Get(i).Options(), accessv1.E_Needs).(accessv1.Role)
				calls[need] = append(calls[need], string(methods.Get(i).Name()))
			}
		}
		p := &printer{w: cmd.OutOrStdout()}
		for _, role := range slices.Sorted(maps.Keys(calls)) {
			p.f("%-9s %s\n", access.NameOf(role), strings.Join(calls[role], " "))
		}
		p.f("\npersonal and operate include read, operate includes sales, admin everything.\n")
		return p.err
	}
	return cmd
}

// changeAccess changes the access file as a whole: whoever reads it meanwhile
// reads the one or the other. Only its owner can read it: it names who may do what.
func changeAccess(file string, change func([]byte) ([]byte, error)) error {
	raw, err := os.ReadFile(file)
	mode := os.FileMode(0o600)
	switch info, statErr := os.Stat(file); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read access file: %w (name it with --file)", err)
	case statErr == nil:
		mode = info.Mode().Perm()
	}
	if raw, err = change(raw); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".access-*")
	if err != nil {
		return fmt.Errorf("write access file: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write access file: %w", err)
	}
	return nil
}
