// Package dialects names all kinds of webhooks that ingest reads. Pure.
package dialects

import (
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
)

// All gives the dialects by the kind that sources.yaml names them with. A new
// one is added here, and to the table of the contract test beside it.
func All() map[string]hook.Dialect {
	return map[string]hook.Dialect{
		"webhook": standard.Dialect{},
	}
}
