package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNoLineSaysAnAddress(t *testing.T) {
	var out bytes.Buffer
	log := (&pipeline{}).logger(Options{Out: &out})
	err := fmt.Errorf("hand over: %w", errors.New("550 5.1.1 <ann@example.com>: no such user"))
	log.With("who", "ann@example.com").WithGroup("g").Info("a line", "error", err, "text", "ann@example.com and bob@mail.example.org",
		slog.Group("inner", "url", "https://x.example/?email=ann%40example.com&a=1"), "lead_id", "01a2", "n", 7, "err", fmt.Errorf("plain"))
	line := out.String()
	if strings.Contains(line, "ann") || strings.Contains(line, "bob") {
		t.Errorf("the line says who: %s", line)
	}
	for _, want := range []string{"550 5.1.1 <(address)>: no such user", "(address) and (address)", "email=(address)", `"lead_id":"01a2"`, `"n":7`, `"err":"plain"`} {
		if !strings.Contains(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(line), want) {
			t.Errorf("%s is not in %s", want, line)
		}
	}
}

func TestOnlyAddressesAreTakenOut(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"no at":                            "no at",
		"ann@example.com":                  "(address)",
		"<ann.o'hara+tag@mail.example.co>": "<(address)>",
		"jürgen@müller.example":            "(address)",
		"retry @ 5s":                       "retry @ 5s",
		"nats://user@host":                 "nats://user@host",
		"a@b":                              "a@b",
		"pkg@v1.2.3":                       "(address)",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
