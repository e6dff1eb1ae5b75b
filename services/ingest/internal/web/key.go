package web

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// keyed finds the source of the request's write key: in the Authorization
// header, in the body, or, for a beacon that can set neither, in the address.
func (r *routes) keyed(req *http.Request, inBody string) (*source.Source, error) {
	given := false
	for _, key := range append(headerKeys(req), inBody, req.URL.Query().Get("writeKey")) {
		if key == "" {
			continue
		}
		given = true
		if src, ok := r.Sources.Current().Keyed(key); ok {
			return r.admitted(req, src)
		}
	}
	if !given {
		return nil, rpc.Mark(errors.New("a write key is missing: send it as the user name of Basic authorization or as writeKey in the body (api_key for PostHog's libraries)"), codes.Unauthenticated)
	}
	return nil, rpc.Mark(errors.New("the write key is not known: compare its SHA-256 with the keys: of your source in sources.yaml"), codes.Unauthenticated)
}

func (r *routes) admitted(req *http.Request, src *source.Source) (*source.Source, error) {
	if origin := req.Header.Get("Origin"); !src.Admits(origin) {
		return nil, rpc.Mark(fmt.Errorf("pages of %.100q may not send to %s; add it to the source's origins in sources.yaml", origin, src.Name), codes.PermissionDenied)
	}
	return src, nil
}

// headerKeys lists the keys that the Authorization header may mean: some
// libraries send base64(key:), some base64(key), some Bearer.
func headerKeys(req *http.Request) []string {
	scheme, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return nil
	case strings.EqualFold(scheme, "Bearer"):
		return []string{value}
	case !strings.EqualFold(scheme, "Basic"):
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(value); err != nil {
			return []string{value}
		}
	}
	user, _, _ := strings.Cut(string(raw), ":")
	return []string{user}
}
