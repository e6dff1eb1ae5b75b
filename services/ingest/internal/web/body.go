package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"

	"github.com/nurturehq/nurture/services/ingest/internal/segment"
)

const (
	// maxRatio is how much larger than itself a compressed body may become: JSON
	// events stay below 30.
	maxRatio = 200
	// believed is how many bytes are made ready because a sender says that so many
	// come.
	believed = 64 << 10
)

// errTooLarge: the body exceeds what the route takes.
var errTooLarge = errors.New("the body is too large")

// unread answers that a body of a route that takes limit bytes cannot be read,
// and whether it is worth to send it again.
func (r *routes) unread(w http.ResponseWriter, req *http.Request, limit int, err error) {
	switch {
	case errors.Is(err, errTooLarge):
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("%v: at most %d bytes are taken, also after decompression", errTooLarge, limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		problem(w, http.StatusRequestTimeout, "the body came too slowly; send it again, or less at once")
	default:
		r.fail(w, req, asInvalid(err))
	}
}

// asInvalid makes an error the sender's fault, unless it names the fields or is
// ours.
func asInvalid(err error) error {
	if errors.Is(err, errFull) || rpc.Status(err).Code() == codes.InvalidArgument {
		return err
	}
	return rpc.Mark(err, codes.InvalidArgument)
}

// readBody reads a body, compressed or not, within the limits. Whether it is
// compressed its first bytes say: libraries do not always.
func (r *routes) readBody(req *http.Request) ([]byte, error) {
	return r.unzipped(req, segment.MaxBatch)
}

// unzipped reads a body of at most limit bytes, before and after decompression.
func (r *routes) unzipped(req *http.Request, limit int) ([]byte, error) {
	raw, err := readAll(req.Body, limit, min(req.ContentLength, believed))
	if err != nil {
		return nil, err
	}
	if len(raw) < 2 || raw[0] != 0x1f || raw[1] != 0x8b {
		return raw, nil
	}
	if body, ok := req.Body.(*metered); ok && !body.hold(int64(limit)) {
		return nil, errFull
	}
	z, ok := r.unzip.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	defer r.unzip.Put(z)
	if err := z.Reset(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("unzip body: %w", err)
	}
	body, err := readAll(io.Reader(z), min(limit, maxRatio*len(raw)), int64(4*len(raw)))
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("unzip body: %w", err)
	}
	return body, err
}

// readAll reads at most limit bytes; errTooLarge when there are more.
func readAll(r io.Reader, limit int, sizeHint int64) ([]byte, error) {
	buf := make([]byte, 0, min(max(sizeHint, 512)+1, int64(limit)+1))
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, fmt.Errorf("read body: %w", err)
		}
	}
}
