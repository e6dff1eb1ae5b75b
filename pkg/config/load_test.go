package config_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/pkg/config"
)

type smtp struct {
	Addr string `yaml:"addr" help:"where mail is handed over"`
	TLS  bool   `yaml:"tls" help:"encrypt"`
}

type settings struct {
	HTTPAddr string            `yaml:"http_addr" help:"where HTTP is served"`
	Timeout  time.Duration     `yaml:"timeout" help:"how long a delivery may take"`
	Key      string            `yaml:"key" help:"signs links" secret:"true"`
	Hosts    []string          `yaml:"hosts" help:"who may be redirected to"`
	Level    slog.Level        `yaml:"log_level" help:"lowest level logged"`
	SMTP     smtp              `yaml:"smtp"`
	Keys     map[string]string `yaml:"keys" help:"write keys by source"`
}

func defaults() settings {
	return settings{HTTPAddr: ":8080", Timeout: 15 * time.Second, Key: "dev", SMTP: smtp{Addr: "127.0.0.1:1025"}}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFlagsBeatTheEnvironmentBeatsTheFileBeatsDefaults(t *testing.T) {
	file := write(t, "http_addr: :1\ntimeout: 1m\nlog_level: warn\nsmtp: {addr: file, tls: true}\nkeys: {web: k}\n")
	t.Setenv("APP_TIMEOUT", "2m")
	t.Setenv("APP_SMTP_ADDR", "env")
	t.Setenv("APP_HOSTS", "a.example, b.example")
	t.Setenv("APP_KEY", "")
	got := defaults()
	err := config.Load(&got, config.Options{
		File: file, EnvPrefix: "APP",
		Args: []string{"--smtp-addr", "flag", "--smtp-tls=false", "-log-level=ERROR"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		HTTPAddr: ":1", Timeout: 2 * time.Minute, Key: "dev", Hosts: []string{"a.example", "b.example"},
		Level: slog.LevelError, SMTP: smtp{Addr: "flag"}, Keys: map[string]string{"web": "k"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheFileIsNamedByOptionVariableOrFlag(t *testing.T) {
	one, two, three := write(t, "key: one"), write(t, "key: two"), write(t, "key: three")
	for _, c := range []struct {
		env  string
		args []string
		want string
	}{{"", nil, "one"}, {two, nil, "two"}, {two, []string{"--config", three}, "three"}} {
		t.Setenv("APP_CONFIG", c.env)
		got := defaults()
		if err := config.Load(&got, config.Options{File: one, EnvPrefix: "APP", Args: c.args}); err != nil {
			t.Fatal(err)
		}
		if got.Key != c.want {
			t.Errorf("read %s, want %s", got.Key, c.want)
		}
	}
}

func TestAYesOrNoFlagNeedsNoValue(t *testing.T) {
	got := defaults()
	if err := config.Load(&got, config.Options{Args: []string{"--smtp-tls", "--key", "k"}}); err != nil {
		t.Fatal(err)
	}
	if !got.SMTP.TLS || got.Key != "k" {
		t.Errorf("got %+v", got)
	}
}

func TestBadSettingsSayWhichAndWhatWasExpected(t *testing.T) {
	for _, c := range []struct {
		what string
		env  string
		args []string
		want string
	}{
		{"variable", "soon", nil, `APP_TIMEOUT: expected a duration like 90s, 1h30m, 7d or 2w, found "soon"`},
		{"flag", "", []string{"--timeout=soon"}, `--timeout: expected a duration like 90s, 1h30m, 7d or 2w, found "soon"`},
		{"misspelt flag", "", []string{"--htp-addr", "x"}, `unknown setting --htp-addr; did you mean --http-addr?`},
		{"unknown flag", "", []string{"--zzzzzzzz"}, `unknown setting --zzzzzzzz; --help lists all`},
		{"no value", "", []string{"--key"}, `--key needs a value`},
		{"argument", "", []string{"start"}, `unexpected argument "start"; settings begin with --, see --help`},
		{"file only", "", []string{"--keys", "x"}, `unknown setting --keys; did you mean --key?`},
		{"bool", "", []string{"--smtp-tls=perhaps"}, `--smtp-tls: expected true or false, found "perhaps"`},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Setenv("APP_TIMEOUT", c.env)
			cfg := defaults()
			err := config.Load(&cfg, config.Options{EnvPrefix: "APP", Args: c.args})
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	cfg := defaults()
	err := config.Load(&cfg, config.Options{File: "nowhere.yaml"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "nowhere.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestAMistakeInTheFileHasItsPlace(t *testing.T) {
	file := write(t, "smtp:\n  adr: x\n")
	cfg := defaults()
	err := config.Load(&cfg, config.Options{File: file})
	if want := file + `:2:3: smtp: unknown field "adr"; did you mean "addr"?`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestHelpPrintsEverySettingAndHidesSecrets(t *testing.T) {
	var out bytes.Buffer
	cfg := defaults()
	err := config.Load(&cfg, config.Options{EnvPrefix: "APP", Args: []string{"--help"}, Name: "app", Help: &out})
	if !errors.Is(err, config.ErrHelp) {
		t.Fatalf("got %v", err)
	}
	want := `Usage: app [settings]

Each setting comes from its default, then the file, then its variable, then its flag; the last one wins.

  --config FILE
      YAML file with settings (APP_CONFIG)
  --http-addr
      where HTTP is served (APP_HTTP_ADDR, default :8080)
  --timeout
      how long a delivery may take (APP_TIMEOUT, default 15s)
  --key
      signs links (APP_KEY, default (hidden))
  --hosts
      who may be redirected to (APP_HOSTS)
  --log-level
      lowest level logged (APP_LOG_LEVEL, default INFO)
  --smtp-addr
      where mail is handed over (APP_SMTP_ADDR, default 127.0.0.1:1025)
  --smtp-tls
      encrypt (APP_SMTP_TLS, default false)
  keys:
      write keys by source (in the file only)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

type checked struct {
	Lanes int `yaml:"lanes"`
}

func (c *checked) Validate() error {
	if c.Lanes < 1 || c.Lanes > 64 {
		return errors.New("lanes: expected 1 to 64")
	}
	return nil
}

func TestTheStructHasTheLastWord(t *testing.T) {
	if err := config.Load(&checked{Lanes: 1}, config.Options{Args: []string{"--lanes", "65"}}); err == nil {
		t.Error("65 lanes were accepted")
	}
	if err := config.Load(&checked{}, config.Options{Args: []string{"--lanes", "64"}}); err != nil {
		t.Error(err)
	}
}

func TestLoadNeedsAPointerToAStruct(t *testing.T) {
	if err := config.Load(settings{}, config.Options{}); err == nil {
		t.Error("a struct was accepted")
	}
}
