package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// address is what looks like an e-mail address. A tracking library's texts, an
// SMTP server's answer, an id that somebody chose: any of them may be one.
var address = regexp.MustCompile(`[\p{L}\p{N}._%+'-]+(?:@|%40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`) //nolint:gochecknoglobals // a constant

// hidden stands where an address stood.
const hidden = "(address)"

// redact takes e-mail addresses out of a text: a net below the rule that nobody
// writes one into a log line or a span.
func redact(text string) string {
	if !strings.Contains(text, "@") && !strings.Contains(text, "%40") {
		return text
	}
	return address.ReplaceAllString(text, hidden)
}

// discreet redacts what lines say.
type discreet struct{ slog.Handler }

// Handle passes the line on without addresses.
func (h discreet) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs keeps attributes for all lines to come.
func (h discreet) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return discreet{h.Handler.WithAttrs(clean)}
}

// WithGroup begins a group.
func (h discreet) WithGroup(name string) slog.Handler { return discreet{h.Handler.WithGroup(name)} }

func redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, redact(v.String()))
	case slog.KindAny:
		text := fmt.Sprint(v.Any())
		if clean := redact(text); clean != text {
			return slog.String(a.Key, clean)
		}
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, inner := range group {
			clean[i] = redactAttr(inner)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	default:
	}
	return a
}
