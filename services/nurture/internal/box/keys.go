package box

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Keys are the development keys of one data directory, made on the first run.
// A production deployment brings its own.
type Keys struct {
	// Links signs tracking links, Identity hashes e-mail addresses and ids: 32
	// random bytes each, in hex.
	Links    string `json:"links"`
	Identity string `json:"identity"`
	// Webhook signs handoffs: "whsec_" and base64 of 32 random bytes.
	Webhook string `json:"webhook"`
	// Data wraps the data keys of the leads: 32 random bytes in hex.
	Data string `json:"data"`
}

// keysFile is where the keys lie in the data directory.
const keysFile = "dev-keys.json"

// loadKeys reads the keys of a data directory or makes them. They are part of
// the data: with other keys, links in sent mails break and known people are
// strangers again.
func loadKeys(dir string) (Keys, error) {
	path := filepath.Join(dir, keysFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKeys(path)
	}
	if err != nil {
		return Keys{}, fmt.Errorf("read development keys: %w", err)
	}
	var k Keys
	if err := json.Unmarshal(raw, &k); err != nil {
		return Keys{}, fmt.Errorf("read development keys %s: %w", path, err)
	}
	if k.Data == "" { // made before leads had keys of their own
		k.Data = newKeys().Data
		return writeKeys(path, k)
	}
	return k, nil
}

// DataKey is the data key of a data directory as `nurture run` made it; empty
// when there is none.
func DataKey(dir string) string {
	raw, err := os.ReadFile(filepath.Join(dir, keysFile))
	if err != nil {
		return ""
	}
	var k Keys
	if json.Unmarshal(raw, &k) != nil {
		return ""
	}
	return k.Data
}

func makeKeys(path string) (Keys, error) { return writeKeys(path, newKeys()) }

func writeKeys(path string, k Keys) (Keys, error) {
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return Keys{}, fmt.Errorf("encode development keys: %w", err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return Keys{}, fmt.Errorf("keep development keys: %w", err)
	}
	return k, nil
}

func newKeys() Keys {
	return Keys{
		Links: hex.EncodeToString(random()), Identity: hex.EncodeToString(random()),
		Webhook: "whsec_" + base64.StdEncoding.EncodeToString(random()), Data: hex.EncodeToString(random()),
	}
}

func random() []byte {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: the runtime ends the process instead
	return raw
}
