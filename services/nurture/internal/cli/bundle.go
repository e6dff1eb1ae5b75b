package cli

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

//go:embed bundle.html
var exportPage string

func newLeadExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export <lead id or e-mail>", Short: "Write all that is known of a person to a JSON and an HTML file (Art. 15 GDPR)", Args: wantArgs("id"),
		Long: "Profile, consents with their proof, everything that was recorded, score with its reasons, programs and\n" +
			"touches, handoffs, and who was told what. The files hold personal data: hand them to the person alone.",
	}
	a := addrFlags(cmd)
	dir := cmd.Flags().String("out", ".", "directory that the two files are written to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		id, err := leadNamed(cmd.Context(), p.ingest, args[0])
		if err != nil {
			return err
		}
		told, err := p.ingest.ExportLead(cmd.Context(), &ingestv1.ExportLeadRequest{LeadId: id})
		if err != nil {
			return askedIngest(err, id)
		}
		s := &biography{lead: told.GetLead()}
		if err := p.rest(cmd.Context(), id, s); err != nil {
			return err
		}
		files, err := writeExport(*dir, bundle{Told: told, Story: s, At: time.Now()})
		pr := &printer{w: cmd.OutOrStdout()}
		for _, f := range files {
			pr.f("%s\n", f)
		}
		return errors.Join(err, pr.err)
	}
	return cmd
}

// bundle is all that is handed to a person.
type bundle struct {
	Told  *ingestv1.ExportLeadResponse
	Story *biography
	At    time.Time
}

// writeExport writes the bundle for machines and for people.
func writeExport(dir string, b bundle) (files []string, err error) {
	raw, err := b.json()
	if err != nil {
		return nil, err
	}
	page, err := b.html()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("write export: %w", err)
	}
	for name, content := range map[string][]byte{".json": raw, ".html": page} {
		file := filepath.Join(dir, "lead-"+b.Told.GetLead().GetLeadId()+name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return files, fmt.Errorf("write export: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

func (b bundle) json() ([]byte, error) {
	parts := map[string]any{"exported_at": b.At.UTC()}
	var failed error
	put := func(name string, m proto.Message) {
		raw, err := protojson.Marshal(m)
		failed = errors.Join(failed, err)
		parts[name] = json.RawMessage(raw)
	}
	put("ingest", b.Told)
	if b.Story.score != nil {
		put("score", b.Story.score)
	}
	if b.Story.handoff != nil {
		put("handoff", b.Story.handoff)
	}
	list := func(name string, n int, at func(int) proto.Message) {
		all := make([]json.RawMessage, n)
		for i := range all {
			raw, err := protojson.Marshal(at(i))
			failed = errors.Join(failed, err)
			all[i] = raw
		}
		parts[name] = all
	}
	list("programs", len(b.Story.enrollments), func(i int) proto.Message { return b.Story.enrollments[i] })
	list("touches", len(b.Story.touches), func(i int) proto.Message { return b.Story.touches[i] })
	raw, err := json.MarshalIndent(parts, "", "  ")
	if err = errors.Join(failed, err); err != nil {
		return nil, fmt.Errorf("encode export: %w", err)
	}
	return append(raw, '\n'), nil
}

func (b bundle) html() ([]byte, error) {
	page, err := template.New("export").Funcs(template.FuncMap{"clock": clock, "plain": plain}).Parse(exportPage)
	if err != nil {
		return nil, fmt.Errorf("read export page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, map[string]any{
		"Lead": b.Told.GetLead(), "Told": b.Told, "At": b.At.UTC().Format(time.RFC3339), "Score": b.Story.score.GetScore(),
		"Reasons": b.Story.score.GetReasons(), "Programs": b.Story.enrollments, "Touches": b.Story.touches, "Handoff": b.Story.handoff,
	}); err != nil {
		return nil, fmt.Errorf("write export page: %w", err)
	}
	return out.Bytes(), nil
}
