package ties

import "google.golang.org/protobuf/encoding/protowire"

// Fields of the language that are read here without decoding the rest.
const (
	recordEvents = 4 // ledger.v1.Record.events
	firstTie     = 8 // ingest.v1.Event: merged, merged_into, restored, unmerged
	lastTie      = 11
)

// Concerns reports whether an encoded record of ingest tells of a merge or of its
// undoing. It looks at the events' tags alone: most records do not, and every
// one of them passes here.
func Concerns(record []byte) bool {
	found := false
	fields(record, func(n protowire.Number, event []byte) {
		if n != recordEvents {
			return
		}
		fields(event, func(n protowire.Number, _ []byte) { found = found || n >= firstTie && n <= lastTie })
	})
	return found
}

// fields shows the fields of a message that are messages themselves.
func fields(raw []byte, visit func(protowire.Number, []byte)) {
	for len(raw) > 0 {
		n, kind, size := protowire.ConsumeTag(raw)
		if size < 0 {
			return
		}
		raw = raw[size:]
		if kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(raw)
			if size < 0 {
				return
			}
			visit(n, value)
			raw = raw[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(n, kind, raw); size < 0 {
			return
		}
		raw = raw[size:]
	}
}
