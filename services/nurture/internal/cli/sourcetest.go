package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// errRejected: the sample was not taken, so the command ends with a failure that
// scripts can see.
var errRejected = errors.New("the sample was not taken: mend the source in sources.yaml and try again")

func newSourceTest() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test <name>", Short: "Send a signed sample through a source and show what became of it", Args: wantArgs("name"),
		Long: "Ingest signs a sample with the source's own secret and takes it through the same door as its sender's messages.\n" +
			"Its person is source-test@nurture.test, whom no mail can reach. With --body it is a message of your own.",
	}
	a := addrFlags(cmd)
	req := &ingestv1.TestSourceRequest{}
	body := cmd.Flags().String("body", "", "file with a message to send instead of the sample")
	cmd.Flags().StringVar(&req.ContentType, "content-type", "", "media type of --body; empty: what the sender would say")
	cmd.Flags().StringVar(&req.WriteKey, "key", "", "write key, for a source of tracking libraries: only its hash is kept")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "only read it; record nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Source = args[0]
		if *body != "" {
			var err error
			if req.Body, err = os.ReadFile(*body); err != nil {
				return fmt.Errorf("read the message: %w", err)
			}
		}
		return a.ask(func(c ingestv1.IngestServiceClient) error {
			got, err := c.TestSource(cmd.Context(), req)
			if err != nil {
				return err
			}
			return printTest(cmd, got)
		})
	}
	return cmd
}

// printTest shows what was sent and what became of it.
func printTest(cmd *cobra.Command, got *ingestv1.TestSourceResponse) error {
	p := &printer{w: cmd.OutOrStdout()}
	p.f("sent      POST %s\n%s\n", got.GetPath(), got.GetSent())
	if got.GetStatus() != 0 {
		p.f("answered  %d %s\n", got.GetStatus(), strings.TrimSpace(got.GetAnswer()))
	}
	if got.GetHeld() != "" {
		p.f("only read, nothing was recorded: %s\n", got.GetHeld())
	}
	failed := got.GetStatus() >= 400
	for i, it := range got.GetItems() {
		p.f("%d. %s", i+1, became(it, got.GetHeld() != ""))
		printRead(p, it)
		failed = failed || it.GetBecame() == "reject" || it.GetBecame() == "quarantine"
	}
	if len(got.GetItems()) == 0 {
		p.f("nothing was found in it\n")
	}
	if p.err == nil && failed {
		return errRejected
	}
	return p.err
}

// became says in one line what became of one thing.
func became(it *ingestv1.TestedItem, held bool) string {
	switch it.GetBecame() {
	case "lead":
		switch {
		case held:
			return "would be recorded\n"
		case it.GetDuplicate():
			return fmt.Sprintf("known already, of lead %s\n", it.GetLeadId())
		case it.GetCreated():
			return fmt.Sprintf("recorded, a new lead: nurture lead show %s\n", it.GetLeadId())
		}
		return fmt.Sprintf("recorded: nurture lead show %s\n", it.GetLeadId())
	case "fetch":
		return "the lead would be asked for: " + it.GetNote() + "\n"
	case "sales":
		return "handoff would be told: " + it.GetNote() + "\n"
	case "ignored":
		return "ignored: " + it.GetNote() + "\n"
	case "quarantine":
		return "kept aside, as no person seems to have sent it\n"
	}
	return "refused; with a true message it would be in nurture rejects list\n"
}

// printRead shows what was understood.
func printRead(p *printer, it *ingestv1.TestedItem) {
	for _, line := range understood(it.GetProfile(), it.GetActivity()) {
		p.f("   %-22s %s\n", line[0], line[1])
	}
	for _, c := range it.GetConsents() {
		p.f("   %-22s %s, granted %t\n", "consent", c.GetPurpose(), c.GetGranted())
	}
	for _, f := range it.GetFaults() {
		p.f("   wrong: %s\n", strings.TrimPrefix(f.GetField()+": "+f.GetMessage(), ": "))
	}
}

// understood lists names and values of a profile and an activity.
func understood(pr *leadv1.Profile, a *leadv1.Activity) [][2]string {
	lines := [][2]string{
		{"email", pr.GetEmail()},
		{"first name", pr.GetFirstName()},
		{"last name", pr.GetLastName()},
		{"phone", pr.GetPhone()},
		{"company", pr.GetCompany()},
		{"title", pr.GetJobTitle()},
		{"country", pr.GetCountry()},
		{"activity", a.GetType()},
	}
	for _, name := range slices.Sorted(maps.Keys(pr.GetAttributes())) {
		lines = append(lines, [2]string{"attribute " + name, pr.GetAttributes()[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(a.GetProperties())) {
		lines = append(lines, [2]string{"property " + name, a.GetProperties()[name]})
	}
	return slices.DeleteFunc(lines, func(l [2]string) bool { return l[1] == "" })
}
