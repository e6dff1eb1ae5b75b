package ingest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// event is one event of a new lead, about 400 bytes.
func event(n int64) map[string]any {
	return map[string]any{
		"type": "track", "event": "Page Viewed", "anonymousId": fmt.Sprintf("visitor-%d", n), "messageId": fmt.Sprintf("m-%d", n),
		"properties": map[string]any{"path": "/pricing", "url": "https://www.example.com/pricing?utm_source=search", "title": strings.Repeat("Prices ", 12)},
		"context":    map[string]any{"page": map[string]any{"url": "https://www.example.com/pricing?utm_source=search"}},
	}
}

func BenchmarkSingleEventsOfNewLeadsOver64Connections(b *testing.B) {
	benchmarkPosts(b, 64, 1)
}

func BenchmarkBatchesOf100NewLeadsOver16Connections(b *testing.B) {
	benchmarkPosts(b, 16, 100)
}

// benchmarkPosts posts events until b.N of them are recorded, size per request.
func benchmarkPosts(b *testing.B, connections, size int) {
	r := newRoom(b)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for {
				from := next.Add(int64(size)) - int64(size)
				if from >= int64(b.N) {
					return
				}
				r.postEvents(from, size)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func (r *room) postEvents(from int64, size int) {
	path, body := "/v1/track", any(event(from))
	if size > 1 {
		path = "/v1/batch"
		batch := make([]any, size)
		for i := range batch {
			batch[i] = event(from + int64(i))
		}
		body = map[string]any{"batch": batch}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		r.t.Error(err)
		return
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, bytes.NewReader(raw))
	if err != nil {
		r.t.Error(err)
		return
	}
	req.SetBasicAuth(websiteKey, "")
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r.t.Errorf("answered %d", resp.StatusCode)
	}
}
