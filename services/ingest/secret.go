package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// errSecretChanged: every identity in the log was hashed under another secret.
var errSecretChanged = errors.New("the identity key is not the one this log was written with, so nobody would be recognised: set identity_key (or identity_key_file) to the former one")

// identitySecret gives the secret that identities are hashed with: the setting,
// else the file, which is made at the first run.
func identitySecret(cfg Config, log *slog.Logger) ([]byte, error) {
	if cfg.IdentityKey != "" {
		return decodeSecret(cfg.IdentityKey, "identity_key")
	}
	raw, err := os.ReadFile(cfg.IdentityKeyFile)
	if err == nil {
		return decodeSecret(string(raw), cfg.IdentityKeyFile)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read identity key: %w", err)
	}
	return makeSecret(cfg.IdentityKeyFile, "identity key", log)
}

func decodeSecret(text, from string) ([]byte, error) {
	secret, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) < identity.MinSecret {
		return nil, fmt.Errorf("read identity key from %s: expected at least %d bytes in hex, the output of: openssl rand -hex 32", from, identity.MinSecret)
	}
	return secret, nil
}

// makeSecret writes a new secret for its owner's eyes alone. Of two processes
// that do so at once, the second one uses the first one's.
func makeSecret(file, what string, log *slog.Logger) ([]byte, error) {
	secret := make([]byte, identity.MinSecret)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make %s: %w", what, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", what, err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", what, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(hex.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("make %s: %w", what, err)
	}
	if err := os.Link(f.Name(), file); err != nil {
		if !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make %s: %w", what, err)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		return decodeSecret(string(raw), file)
	}
	log.Info("made a secret key; keep it safe, and not beside the backups of the log", "key", what, "file", file)
	return secret, nil
}

// checkSecret claims the log for this secret, for ever, and refuses to start
// under another one.
func (s *Service) checkSecret(ctx context.Context) error {
	subject := bus.IdentitySubject("secret", "fingerprint")
	mine := s.hasher.Fingerprint()
	won, err := s.deps.Bus.Claim(ctx, subject, []byte(mine))
	if err != nil {
		return fmt.Errorf("check identity key: %w", err)
	}
	if won {
		return nil
	}
	first, err := s.deps.Bus.LastMsg(ctx, bus.Leads, subject)
	if err != nil {
		return fmt.Errorf("check identity key: %w", err)
	}
	if string(first.Data) != mine {
		return errSecretChanged
	}
	return nil
}
