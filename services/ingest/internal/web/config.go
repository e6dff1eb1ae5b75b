package web

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// object is a JSON object of an answer.
type object = map[string]any

// configRoutes answer what browser libraries ask before they send anything, and
// take what they measure about themselves, which is not kept.
func (r *routes) configRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/projects/{key}/settings", r.segmentSettings)
	mux.HandleFunc("GET /sourceConfig/{$}", r.rudderConfig)
	mux.HandleFunc("GET /sourceConfig", r.rudderConfig)
	mux.HandleFunc("GET /array/{key}/config", r.posthogConfig)
	mux.HandleFunc("GET /array/{key}/config.js", r.posthogScript)
	for _, path := range [...]string{"/flags", "/flags/{$}", "/decide", "/decide/{$}"} {
		mux.HandleFunc("POST "+path, r.posthogConfig)
	}
	for _, path := range [...]string{"/v1/m", "/v1/m/{$}", "/rsaMetrics", "/rsaMetrics/{$}"} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, req *http.Request) {
			share(w.Header(), req)
			answer(w, http.StatusOK, object{"success": true})
		})
	}
	for _, path := range [...]string{
		"/v1/m", "/v1/m/{$}", "/rsaMetrics", "/rsaMetrics/{$}", "/v1/projects/{key}/settings", "/sourceConfig/{$}", "/sourceConfig",
		"/array/{key}/config", "/flags", "/flags/{$}", "/decide", "/decide/{$}",
	} {
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
}

// configured finds the source that a library asks about, and answers the error
// when there is none.
func (r *routes) configured(w http.ResponseWriter, req *http.Request) (*source.Source, bool) {
	share(w.Header(), req)
	src, err := r.keyed(req, req.PathValue("key"))
	if err != nil {
		r.fail(w, req, err)
		return nil, false
	}
	return src, true
}

// segmentSettings answers analytics.js: send to where you asked.
func (r *routes) segmentSettings(w http.ResponseWriter, req *http.Request) {
	if _, ok := r.configured(w, req); !ok {
		return
	}
	answer(w, http.StatusOK, object{
		"integrations": object{"Segment.io": object{
			"apiKey": req.PathValue("key"), "apiHost": req.Host + "/v1", "protocol": protocol(req),
			"addBundledMetadata": false, "maybeBundledConfigIds": object{}, "versionSettings": object{},
		}},
		"plan":                 object{"track": object{"__default": object{"enabled": true}}, "identify": object{"__default": object{"enabled": true}}, "group": object{"__default": object{"enabled": true}}},
		"metrics":              object{"sampleRate": 0},
		"enabledMiddleware":    object{},
		"remotePlugins":        []any{},
		"edgeFunction":         object{},
		"analyticsNextEnabled": true,
	})
}

// rudderConfig answers RudderStack's browser library: no destinations, nothing
// measured about the library.
func (r *routes) rudderConfig(w http.ResponseWriter, req *http.Request) {
	src, ok := r.configured(w, req)
	if !ok {
		return
	}
	off := object{"enabled": false}
	answer(w, http.StatusOK, object{
		"source": object{
			"id": src.Name, "name": src.Title, "writeKey": req.URL.Query().Get("writeKey"), "enabled": true, "workspaceId": "nurture",
			"config":       object{"statsCollection": object{"errors": off, "metrics": off}},
			"destinations": []any{}, "connections": []any{}, "dataplanes": object{},
		},
		"updatedAt": src.Name,
	})
}

// posthogConfig answers PostHog's libraries.
func (r *routes) posthogConfig(w http.ResponseWriter, req *http.Request) {
	share(w.Header(), req)
	answer(w, http.StatusOK, posthogSettings())
}

// posthogScript is the same as the script that PostHog's browser library asks for
// first.
func (r *routes) posthogScript(w http.ResponseWriter, req *http.Request) {
	if _, ok := r.configured(w, req); !ok {
		return
	}
	key, err := json.Marshal(req.PathValue("key"))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	settings, err := json.Marshal(posthogSettings())
	if err != nil {
		r.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = fmt.Fprintf(w, "(window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{})[%s]={config:%s,siteApps:[]}", key, settings)
}

// posthogSettings: we have no flags, record no sessions, and take gzip and base64.
func posthogSettings() object {
	return object{
		"featureFlags": object{}, "featureFlagPayloads": object{}, "flags": object{}, "errorsWhileComputingFlags": false,
		"supportedCompression": []string{"gzip", "gzip-js", "base64"}, "sessionRecording": false, "autocapture_opt_out": true,
		"capturePerformance": false, "heatmaps": false, "surveys": false, "siteApps": []any{}, "hasFeatureFlags": false,
		"defaultIdentifiedOnly": true, "isAuthenticated": false, "toolbarParams": object{}, "config": object{},
	}
}
