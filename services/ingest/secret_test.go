package ingest

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestTheFirstRunMakesAKeyAndLaterOnesUseIt(t *testing.T) {
	cfg := Config{IdentityKeyFile: filepath.Join(t.TempDir(), "data", "identity.key")}
	secrets := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			var err error
			if secrets[i], err = identitySecret(cfg, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range secrets {
		if len(s) < 32 || !bytes.Equal(s, secrets[0]) {
			t.Fatal("processes that start at once have different keys")
		}
	}
	info, err := os.Stat(cfg.IdentityKeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is open to others: %v, %v", info.Mode(), err)
	}
}

func TestAKeyThatIsNoneSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{{IdentityKey: "abcd"}, {IdentityKey: "not hex"}, {IdentityKeyFile: file}} {
		if _, err := identitySecret(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("error %v", err)
		}
	}
}

func TestMissingSourcesSayWhatToSet(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Sources = filepath.Join(t.TempDir(), "nosuch.yaml")
	if _, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "sources") {
		t.Errorf("error %v", err)
	}
}
