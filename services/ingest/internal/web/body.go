package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/nurturehq/nurture/services/ingest/internal/segment"
)

// maxRatio is how much larger than itself a compressed body may become: JSON
// events stay below 30.
const maxRatio = 200

// errTooLarge: the body exceeds what the route takes.
var errTooLarge = errors.New("the body is too large")

// tooLarge is a 413 with the limit in it.
func tooLarge(w http.ResponseWriter, limit int) {
	problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("%v: at most %d bytes are taken, also after decompression", errTooLarge, limit))
}

// readBody reads a body, compressed or not, within the limits. Whether it is
// compressed its first bytes say: libraries do not always.
func (r *routes) readBody(req *http.Request) ([]byte, error) {
	return r.unzipped(req, segment.MaxBatch)
}

// unzipped reads a body of at most limit bytes, before and after decompression.
func (r *routes) unzipped(req *http.Request, limit int) ([]byte, error) {
	raw, err := readAll(req.Body, limit, req.ContentLength)
	if err != nil {
		return nil, err
	}
	if len(raw) < 2 || raw[0] != 0x1f || raw[1] != 0x8b {
		return raw, nil
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
