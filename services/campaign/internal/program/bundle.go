package program

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/nurturehq/nurture/services/campaign/internal/letter"
)

// Bundle is everything a version of a program needs, so that an enrollment can
// finish on the version it began whatever happens to the files meanwhile.
type Bundle struct {
	// File is the name of the YAML file, for error messages; no part of the content.
	File string `json:"-"`
	YAML string `json:"yaml"`
	// Templates by name: those the program uses.
	Templates map[string]letter.Source `json:"templates"`
	// Links are the constants templates may use.
	Links map[string]string `json:"links,omitempty"`
	// TimeScale multiplies every wait, timeout, cap window and re-entry pause.
	TimeScale float64 `json:"time_scale"`
}

// Encode gives the bytes that are stored and hashed. Maps are sorted, so the
// same content has the same bytes.
func (b Bundle) Encode() ([]byte, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode program %s: %w", b.File, err)
	}
	return raw, nil
}

// DecodeBundle reads what Encode wrote; file names it in error messages.
func DecodeBundle(file string, raw []byte) (Bundle, error) {
	var b Bundle
	if err := json.Unmarshal(raw, &b); err != nil {
		return Bundle{}, fmt.Errorf("decode stored program: %w", err)
	}
	b.File = file
	return b, nil
}

// Hash is the content hash that names a version: 24 hexadecimal digits.
func Hash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}
