package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/store/vault"
)

// errDataKeyChanged: the data keys in the log are wrapped in another key.
var errDataKeyChanged = errors.New("none of the data keys given is the one that this log was sealed under, so nobody's data could be read: put the former key behind the new one in data_key (or data_key_file)")

// keyRing gives the keys that wrap the data keys of leads: the setting, else
// the file, which is made at the first run. The first one wraps.
func keyRing(cfg Config, log *slog.Logger) (*vault.Ring, error) {
	if cfg.DataKey != "" {
		return decodeRing(cfg.DataKey, "data_key")
	}
	raw, err := os.ReadFile(cfg.DataKeyFile)
	if err == nil {
		return decodeRing(string(raw), cfg.DataKeyFile)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read data key: %w", err)
	}
	key, err := makeSecret(cfg.DataKeyFile, "data key", log)
	if err != nil {
		return nil, err
	}
	return vault.NewRing(key)
}

// decodeRing reads keys in hex, apart by commas or white space.
func decodeRing(text, from string) (*vault.Ring, error) {
	var keys [][]byte
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		key, err := hex.DecodeString(word)
		if err != nil || len(key) != vault.KeySize {
			return nil, fmt.Errorf("read data key %d from %s: expected %d bytes in hex, the output of: openssl rand -hex 32", len(keys)+1, from, vault.KeySize)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read data key from %s: there is none; put the output of: openssl rand -hex 32", from)
	}
	return vault.NewRing(keys...)
}

// checkDataKey notes in the log which key wraps now, and refuses to start when
// the one that wrapped before is not there any more.
func (s *Service) checkDataKey(ctx context.Context) error {
	subject := bus.IdentitySubject("secret", "datakey")
	mine := s.ring.First()
	last, err := s.deps.Bus.LastMsg(ctx, bus.Leads, subject)
	seq := uint64(0)
	switch {
	case errors.Is(err, bus.ErrNoMessage):
	case err != nil:
		return fmt.Errorf("check data key: %w", err)
	case string(last.Data) == mine:
		return nil
	case !s.ring.Has(string(last.Data)):
		return errDataKeyChanged
	default:
		seq = last.Sequence
	}
	_, err = s.deps.Bus.Publish(ctx, bus.ExpectLast(&nats.Msg{Subject: subject, Data: []byte(mine)}, seq))
	if err != nil && !errors.Is(err, bus.ErrConflict) {
		return fmt.Errorf("check data key: %w", err)
	}
	return nil
}

// rewrap wraps all data keys in the newest key.
func (s *Service) rewrap(ctx context.Context) (done, current uint64, by string, err error) {
	done, current, err = s.vault.Rewrap(ctx)
	return done, current, s.ring.First(), err
}
