package sample

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
)

// signer adds to a call what its sender proves itself with.
type signer = func(secret string, w What, r *hook.Request)

// hex signs what is before the body, and the body, into a header.
func hex(header, prefix, before string) signer {
	return func(secret string, _ What, r *hook.Request) {
		r.Header.Set(header, prefix+hook.Hex(hook.HMAC([]byte(secret), []byte(before), r.Body)))
	}
}

func base64(header, prefix string) signer {
	return func(secret string, _ What, r *hook.Request) {
		r.Header.Set(header, prefix+hook.Base64(hook.HMAC([]byte(secret), r.Body)))
	}
}

func standardly(secret string, w What, r *hook.Request) {
	at := strconv.FormatInt(w.Now.Unix(), 10)
	r.Header.Set(standard.HeaderID, w.ID)
	r.Header.Set(standard.HeaderTime, at)
	r.Header.Set(standard.HeaderSignature, standard.Sign(secret, w.ID, at, r.Body))
}

func hubspot(secret string, w What, r *hook.Request) {
	at := strconv.FormatInt(w.Now.UnixMilli(), 10)
	r.Header.Set("X-Hubspot-Request-Timestamp", at)
	r.Header.Set("X-Hubspot-Signature-V3", hook.Base64(hook.HMAC([]byte(secret), []byte(r.Method), []byte(r.URL), r.Body, []byte(at))))
}

// inBody is Google's way: the key is in the message.
func inBody(secret string, _ What, r *hook.Request) {
	r.Body = bytes.ReplaceAll(r.Body, []byte("%KEY%"), []byte(secret))
}

func bearer(secret string, _ What, r *hook.Request) {
	r.Header.Set("Authorization", "Bearer "+secret)
}

// mailgun signs a time and a token, inside the message.
func mailgun(secret string, w What, r *hook.Request) {
	at := strconv.FormatInt(w.Now.Unix(), 10)
	sum := hook.Hex(hook.HMAC([]byte(secret), []byte(at), []byte(w.ID)))
	r.Body = bytes.Replace(r.Body, []byte("{"), fmt.Appendf(nil, `{"signature":{"timestamp":%q,"token":%q,"signature":%q},`, at, w.ID, sum), 1)
}
