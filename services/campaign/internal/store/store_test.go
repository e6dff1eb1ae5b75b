package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/store"
)

// files is a directory with one program that sends one template.
func files(t *testing.T) store.Files {
	t.Helper()
	f := store.Files{Programs: t.TempDir(), Templates: t.TempDir(), TimeScale: 1}
	write(t, f.Programs, "hello.yaml", "name: hello\nenroll: {when: 'true'}\nsteps:\n  - id: first\n    email: {template: t, subject: Hi}\n")
	write(t, f.Templates, "t.html.liquid", "<p>one</p>")
	write(t, f.Templates, "t.txt.liquid", "one")
	return f
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f store.Files) []program.Bundle {
	t.Helper()
	bundles, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	return bundles
}

func TestAnOldVersionIsFoundAfterTheFilesChanged(t *testing.T) {
	t.Parallel()
	b, f := bustest.New(t), files(t)
	first, err := store.New(b, read(t, f), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // opening again changes nothing
		if err := first.Open(t.Context(), read(t, f)); err != nil {
			t.Fatal(err)
		}
	}
	old := first.Current().Current[0].Version

	write(t, f.Templates, "t.txt.liquid", "two")
	second, err := store.New(b, read(t, f), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if second.Current().Current[0].Version == old || second.Current().ID == first.Current().ID {
		t.Error("a changed template is no new version")
	}
	p, err := second.Program(t.Context(), old)
	if err != nil || p.Version != old || p.Letter("t") == nil {
		t.Errorf("old version %+v, error %v", p, err)
	}
	book, err := second.Book(t.Context(), first.Current().ID)
	if err != nil || len(book.Current) != 1 || book.Current[0].Version != old || book.Review != time.Hour {
		t.Errorf("old book %+v, error %v", book, err)
	}
	if p, err := second.Program(t.Context(), "never-heard-of"); p != nil || err != nil {
		t.Errorf("program %v, error %v", p, err)
	}
	if _, err := second.Book(t.Context(), "never-heard-of"); err == nil {
		t.Error("a book that nobody has was found")
	}
}

func TestAnotherTemplateIsNoNewVersion(t *testing.T) {
	t.Parallel()
	b, f := bustest.New(t), files(t)
	first, err := store.New(b, read(t, f), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Templates, "unused.html.liquid", "x")
	write(t, f.Templates, "unused.txt.liquid", "x")
	second, err := store.New(b, read(t, f), time.Hour)
	if err != nil || second.Current().ID != first.Current().ID {
		t.Errorf("books %s and %s, error %v", first.Current().ID, second.Current().ID, err)
	}
}

func TestTwoProgramsOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	f := files(t)
	raw, err := os.ReadFile(filepath.Join(f.Programs, "hello.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Programs, "twin.yaml", string(raw))
	if _, err := f.Lint(); err == nil || !strings.Contains(err.Error(), `twin.yaml:1:1: there are two programs named "hello"`) {
		t.Errorf("error %v", err)
	}
}

func TestATemplateThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	f := files(t)
	if err := os.Remove(filepath.Join(f.Templates, "t.txt.liquid")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lint(); err == nil || !strings.Contains(err.Error(), "t.txt.liquid:1:1: the template is missing or empty") {
		t.Errorf("error %v", err)
	}
}
