package run

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// keys are made for one run and forgotten after it.
type keys struct{ common, webhook string }

const keyBytes = 32

func newKeys() (keys, error) {
	raw := make([]byte, 2*keyBytes)
	if _, err := rand.Read(raw); err != nil {
		return keys{}, fmt.Errorf("make keys: %w", err)
	}
	return keys{
		common:  hex.EncodeToString(raw[:keyBytes]),
		webhook: "whsec_" + base64.StdEncoding.EncodeToString(raw[keyBytes:]),
	}, nil
}
