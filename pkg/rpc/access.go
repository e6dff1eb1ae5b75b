package rpc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/nurturehq/nurture/pkg/access"
)

// lookEvery is how often the access file is looked at, at most.
const lookEvery = time.Second

// Access decides who may call what. One serves all services of a process.
type Access struct {
	opts AccessOptions
	// own is a token that is good in this process alone, and never shown.
	own     string
	guesses guesses
	refused metric.Int64Counter

	mu     sync.Mutex
	book   *access.Book
	looked time.Time
	stamp  fileStamp
}

// AccessOptions say where the tokens are. Log is required.
type AccessOptions struct {
	// File is the access file. Empty: there are no tokens, and only callers on
	// this machine are served.
	File string
	Log  *slog.Logger
	// Now is the clock that tokens expire by. Default time.Now.
	Now func() time.Time
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	at   time.Time
	size int64
}

// OpenAccess reads the access file. It is an error when it cannot be used: a
// process that was told to ask for tokens does not start without.
func OpenAccess(o AccessOptions) (*Access, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails: the runtime ends the process instead
	a := &Access{opts: o, own: "own_" + hex.EncodeToString(random), refused: countRefused()}
	if o.File == "" {
		return a, nil
	}
	book, stamp, err := readBook(o.File)
	if err != nil {
		return nil, err
	}
	a.book, a.stamp, a.looked = book, stamp, o.Now()
	return a, nil
}

// Token is one that the other parts of this process may use: it is good for as
// long as the process lives, in this process alone, and has every role but admin.
func (a *Access) Token() string { return a.own }

func readBook(file string) (*access.Book, fileStamp, error) {
	stamp, err := stampOf(file)
	if err != nil {
		return nil, stamp, fmt.Errorf("read access file: %w (make it with: nurture access create NAME --role ROLE --file %s)", err, file)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, stamp, fmt.Errorf("read access file: %w", err)
	}
	book, err := access.Parse(file, raw)
	return book, stamp, err
}

func stampOf(file string) (fileStamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{info.ModTime(), info.Size()}, nil
}

// current answers the tokens as they are now; nil: there is no access file. A
// file that cannot be used changes nothing, and is said once.
func (a *Access) current(ctx context.Context) *access.Book {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opts.Now()
	if a.book == nil || now.Sub(a.looked) < lookEvery && !now.Before(a.looked) {
		return a.book
	}
	a.looked = now
	stamp, err := stampOf(a.opts.File)
	if err == nil && stamp == a.stamp {
		return a.book
	}
	if err != nil && a.stamp == (fileStamp{}) {
		return a.book // said already
	}
	book, _, err := readBook(a.opts.File)
	a.stamp = stamp
	if err != nil {
		a.opts.Log.ErrorContext(ctx, "the access file cannot be used; the former tokens stay", "file", a.opts.File, "error", err)
		return a.book
	}
	a.book = book
	a.opts.Log.InfoContext(ctx, "the access file was read again", "file", a.opts.File, "names", len(book.Holders()))
	return a.book
}

// holder says whose a token is.
func (a *Access) holder(book *access.Book, token string) (caller, error) {
	if subtle.ConstantTimeCompare([]byte(token), []byte(a.own)) == 1 {
		return caller{name: "nurture", kind: byProcess, roles: ofServices()}, nil
	}
	h, err := book.Find(token, a.opts.Now())
	if err != nil {
		return caller{}, err
	}
	return caller{name: h.Name, kind: byToken, roles: h.Roles}, nil
}

// ofServices is what the services need of each other.
func ofServices() []access.Role {
	return []access.Role{access.Personal, access.Send, access.Operate}
}

func countRefused() metric.Int64Counter {
	c, err := otel.Meter("github.com/nurturehq/nurture/pkg/rpc").Int64Counter("nurture_access_refused",
		metric.WithDescription("Calls of the API that were refused, by why."), metric.WithUnit("{call}"))
	if err != nil {
		return noop.Int64Counter{}
	}
	return c
}

func (a *Access) count(ctx context.Context, why string) {
	a.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", why)))
}
