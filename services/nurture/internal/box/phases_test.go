package box

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPhasesStopOneByOneTheLastStartedFirst(t *testing.T) {
	var mu sync.Mutex
	var stopped []string
	until := func(name string) phase {
		return phase{name, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			stopped = append(stopped, name)
			return ctx.Err()
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runPhases(ctx, []phase{until("engine"), until("service"), until("front")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"front", "service", "engine"}, stopped); diff != "" {
		t.Errorf("order:\n%s", diff)
	}
}

func TestAPhaseThatEndsByItselfEndsTheProcessAndIsNamed(t *testing.T) {
	broken := errors.New("broken pipe")
	wait := phase{"other", func(ctx context.Context) error { <-ctx.Done(); return nil }}
	for _, c := range []struct {
		err  error
		want string
	}{{broken, "feeder: broken pipe"}, {nil, "feeder ended by itself"}} {
		err := runPhases(t.Context(), []phase{wait, {"feeder", func(context.Context) error { return c.err }}, wait})
		if err == nil || err.Error() != c.want || (c.err != nil && !errors.Is(err, broken)) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestAPortInUseIsOneLineThatSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	doors := AnyDoors()
	i := slices.IndexFunc(doors, func(d Door) bool { return d.Flag == DeskHTTP })
	doors[i].Addr = taken.Addr().String()
	_, err = openDoors(t.Context(), doors)
	if err == nil {
		t.Fatal("a taken port was opened")
	}
	for _, want := range []string{"the CRM desk", taken.Addr().String(), "in use", "--desk-http"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than a line", err)
	}
}

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, err := loadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first != second || !strings.HasPrefix(first.Webhook, "whsec_") || first.Links == first.Identity {
		t.Errorf("keys %+v and %+v", first, second)
	}
}
