package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/intake"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

// importFlags are what a person says about a list.
type importFlags struct {
	file, sheet, report, rejects  string
	mapping                       []string
	source, title, country        string
	basis, purpose, text, version string
	column, atColumn, activity    string
	dryRun                        bool
}

func newImport() *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use: "import <file>", Short: "Bring in a list of leads: .csv, .tsv, .ndjson or .xlsx", Args: wantArgs("file"),
		Long: "Bring in a list of leads. Every row is durable when it is counted, and counts once: an import that was cut off is\n" +
			"begun again with the same command and goes on where it was. Rows that are refused are written beside the list, with\n" +
			"the reason; mend them and import that file. Begin with --dry-run. Why these people may be contacted must be said:\n" +
			"--basis none, opt_in or existing_relation.",
		Example: "  nurture import fair.csv --dry-run --basis none\n" +
			"  nurture import fair.xlsx --map \"E-Mail privat=email\" --map Notizen=- --basis opt_in \\\n" +
			"      --purpose marketing_email --consent-text \"Yes, write to me.\" --consent-column Newsletter --consent-at Date",
	}
	a := addrFlags(cmd)
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.file = args[0]
		return f.run(cmd, a)
	}
	return cmd
}

func (f *importFlags) register(cmd *cobra.Command) {
	s := cmd.Flags()
	s.BoolVar(&f.dryRun, "dry-run", false, "check every row and record nothing")
	s.StringArrayVar(&f.mapping, "map", nil, "what a column means, as \"its name=field\"; \"its name=-\" leaves it out; may be repeated")
	s.StringVar(&f.sheet, "sheet", "", "sheet of a workbook (default the first)")
	s.StringVar(&f.source, "source", "import", "source that tells it")
	s.StringVar(&f.title, "title", "", "what the list is called (default the file's name)")
	s.StringVar(&f.country, "country", "", "where phone numbers without country code are dialled (default the source's)")
	s.StringVar(&f.basis, "basis", "", "why they may be contacted: none, opt_in or existing_relation (required)")
	s.StringVar(&f.purpose, "purpose", "", "what they allowed, like marketing_email")
	s.StringVar(&f.text, "consent-text", "", "the exact words they agreed to, or were told")
	s.StringVar(&f.version, "consent-version", "", "version of these words")
	s.StringVar(&f.column, "consent-column", "", "column that says yes or no (default yes for all)")
	s.StringVar(&f.atColumn, "consent-at", "", "column that says when")
	s.StringVar(&f.activity, "activity", "", "what being on the list means they did, like webinar_attended")
	s.StringVar(&f.report, "report", "", "also write what became of every row to this CSV file")
	s.StringVar(&f.rejects, "rejects", "", "file for refused rows (default beside the list)")
}

// plan makes the request's plan, and says what is wrong in terms of the flags.
func (f *importFlags) plan(columns []string) (*ingestv1.ImportPlan, error) {
	kinds := map[string]ingestv1.ImportBasis_Kind{
		"none": ingestv1.ImportBasis_KIND_NONE, "opt_in": ingestv1.ImportBasis_KIND_OPT_IN,
		"existing_relation": ingestv1.ImportBasis_KIND_EXISTING_RELATION,
	}
	kind, ok := kinds[f.basis]
	switch {
	case !ok:
		return nil, fmt.Errorf("--basis is %q: say why these people may be contacted, none, opt_in or existing_relation (see nurture import --help)", f.basis)
	case f.basis != "none" && (f.purpose == "" || strings.TrimSpace(f.text) == ""):
		return nil, fmt.Errorf("--basis %s needs --purpose and --consent-text: the exact words are the proof", f.basis)
	case f.basis == "none" && (f.purpose != "" || f.column != "" || f.text != ""):
		return nil, errors.New("--basis none records no consent: leave --purpose, --consent-text and --consent-column out, or name another basis")
	}
	fields, err := f.fields(columns)
	if err != nil {
		return nil, err
	}
	title := f.title
	if title == "" {
		title = filepath.Base(f.file)
	}
	return &ingestv1.ImportPlan{
		Source: f.source, Title: title, Fields: fields, Country: f.country, Activity: f.activity, DryRun: f.dryRun, Columns: columns,
		Basis: &ingestv1.ImportBasis{
			Kind: kind, Purpose: f.purpose, Text: f.text, TextVersion: f.version, Column: f.column, AtColumn: f.atColumn,
		},
	}, nil
}

// fields reads --map and checks that the columns named are there. What an
// import added to refused rows is left out.
func (f *importFlags) fields(columns []string) (map[string]string, error) {
	fields := map[string]string{intake.RowColumn: "-", intake.ReasonColumn: "-", intake.LineColumn: "-"}
	has := func(c string) error {
		if c != "" && columns != nil && !slices.Contains(columns, c) {
			return fmt.Errorf("there is no column %q in %s; it has: %s", c, f.file, strings.Join(columns, ", "))
		}
		return nil
	}
	for _, m := range f.mapping {
		i := strings.LastIndexByte(m, '=')
		if i < 1 || i == len(m)-1 {
			return nil, fmt.Errorf("--map %q: expected \"column=field\", like --map \"E-Mail privat=email\"", m)
		}
		if err := has(m[:i]); err != nil {
			return nil, err
		}
		fields[m[:i]] = m[i+1:]
	}
	return fields, errors.Join(has(f.column), has(f.atColumn))
}

func (f *importFlags) run(cmd *cobra.Command, a *addrs) (err error) {
	rows, err := table.Open(f.file, table.Options{Sheet: f.sheet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	plan, err := f.plan(rows.Columns())
	if err != nil {
		return err
	}
	if plan.ListId, err = f.listID(plan); err != nil {
		return err
	}
	p, err := a.dial()
	if err != nil {
		return err
	}
	defer p.close()
	if err := f.meanings(cmd, p.ingest, plan); err != nil {
		return err
	}
	return f.bring(cmd, p.ingest, plan, rows)
}

// listID names the list by what is in it and how it is read: the same list
// read in the same way counts once, and one that is read anew counts anew.
func (f *importFlags) listID(plan *ingestv1.ImportPlan) (string, error) {
	file, err := os.Open(f.file)
	if err != nil {
		return "", fmt.Errorf("open list: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read list: %w", err)
	}
	same := proto.CloneOf(plan)
	same.ListId, same.Title, same.DryRun = "", "", false
	how, err := proto.MarshalOptions{Deterministic: true}.Marshal(same)
	if err != nil {
		return "", fmt.Errorf("encode plan: %w", err)
	}
	_, _ = sum.Write(append([]byte(f.sheet+"\x00"), how...)) // a hash never fails
	return hex.EncodeToString(sum.Sum(nil)[:12]), nil
}

// meanings shows how the columns are read.
func (f *importFlags) meanings(cmd *cobra.Command, client ingestv1.IngestServiceClient, plan *ingestv1.ImportPlan) error {
	if len(plan.GetColumns()) == 0 {
		return nil
	}
	m, err := intake.Ask(cmd.Context(), client, plan)
	if err != nil {
		return fmt.Errorf("ask ingest: %w", err)
	}
	p := &printer{w: cmd.ErrOrStderr()}
	for _, c := range plan.GetColumns() {
		p.f("  %-28s %s\n", c, map[bool]string{true: "(left out)", false: m[c]}[m[c] == "-"])
	}
	known := slices.Collect(maps.Values(m))
	if !slices.ContainsFunc(known, func(s string) bool { return s == "email" || s == "phone" || s == "user_id" }) {
		return fmt.Errorf("no column is read as email, phone or user_id: say which one is, like --map \"%s=email\"", plan.GetColumns()[0])
	}
	return p.err
}

// bring runs the import and says what became of it.
func (f *importFlags) bring(cmd *cobra.Command, client ingestv1.IngestServiceClient, plan *ingestv1.ImportPlan, rows table.Reader) (err error) {
	j, err := f.journal(plan, rows.Columns())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	rep, err := newImportReport(cmd.OutOrStdout(), cmd.ErrOrStderr(), f.report)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rep.close()) }()
	if j.Resumes() {
		rep.before = j.Tally.Rows
		rep.p.f("goes on after row %d\n", j.Tally.Rows)
	}
	tally, err := intake.Run(cmd.Context(), intake.Options{
		Client: client, Rows: rows, Plan: plan, Journal: j,
		Told: rep.told, Moved: func(t intake.Tally) { rep.moved(t, rows.Done()) },
	})
	rep.end(tally, f.dryRun)
	switch {
	case errors.Is(err, context.Canceled) && tally.Rows > 0:
		return fmt.Errorf("stopped after row %d; the same command goes on from there", tally.Rows)
	case err != nil:
		return fmt.Errorf("import %s: %s; %d rows are in, the same command goes on after them", f.file, status.Convert(err).Message(), tally.Rows)
	case tally.Rejected > 0 && !f.dryRun:
		rep.p.f("refused rows, with the reason beside each: %s\n", f.rejectsPath(rows.Columns()))
	}
	return rep.p.err
}

func (f *importFlags) rejectsPath(columns []string) string {
	if f.rejects != "" {
		return f.rejects
	}
	ext := ".csv"
	if columns == nil {
		ext = ".ndjson"
	}
	return strings.TrimSuffix(f.file, filepath.Ext(f.file)) + ".rejects" + ext
}

func (f *importFlags) journal(plan *ingestv1.ImportPlan, columns []string) (*intake.Journal, error) {
	if f.dryRun {
		return intake.OpenJournal("", "", plan.GetListId(), columns)
	}
	return intake.OpenJournal(f.file+".progress", f.rejectsPath(columns), plan.GetListId(), columns)
}
