package crm

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/guard"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

// Reasons of an attempt's outcome.
const (
	reasonDelivered   = "delivered"
	reasonHTTP        = "http_error"
	reasonRedirect    = "redirect"
	reasonTimeout     = "timeout"
	reasonUnreachable = "unreachable"
	reasonHalfAnswer  = "half_answer"
	reasonBlocked     = "blocked_address"
	reasonTooLarge    = "too_large"
	reasonDisabled    = string(desk.EndpointDisabled)
)

// maxRetryAfter bounds how long a CRM can put us off.
const maxRetryAfter = 24 * time.Hour

// judge makes the outcome of an answer. Only 2xx with a whole answer is
// delivered; 410 and a blocked address are for good; all else is tried again.
func judge(a Answer, now time.Time) *handoffv1.DeliveryOutcome {
	o := &handoffv1.DeliveryOutcome{HttpStatus: uint32(a.Status), At: timestamppb.New(now)} //nolint:gosec // a status has three digits
	switch {
	case errors.Is(a.Err, guard.ErrBlocked):
		o.Permanent, o.Reason = true, reasonBlocked
	case a.Status == http.StatusGone:
		o.Permanent, o.Reason = true, reasonDisabled
		o.Error = "the CRM answered 410 Gone and wants no more; mend it, change the endpoint's generation, then redeliver"
	case a.Err != nil && a.Status != 0:
		o.Reason = reasonHalfAnswer
	case a.Err != nil && isTimeout(a.Err):
		o.Reason = reasonTimeout
	case a.Err != nil:
		o.Reason = reasonUnreachable
	case a.Status >= 200 && a.Status < 300:
		o.Delivered, o.Reason = true, reasonDelivered
	case a.Status >= 300 && a.Status < 400:
		o.Reason, o.Error = reasonRedirect, fmt.Sprintf("the CRM answered %d; redirects are not followed, configure the final URL", a.Status)
	default:
		o.Reason, o.Error = reasonHTTP, fmt.Sprintf("the CRM answered %d %s", a.Status, http.StatusText(a.Status))
	}
	if a.Err != nil && o.GetError() == "" {
		o.Error = words(a.Err)
	}
	if at, ok := retryAt(a.RetryAfter, now); ok && !o.GetDelivered() && !o.GetPermanent() {
		o.RetryAt = timestamppb.New(at)
	}
	return o
}

// words tells an error without the URL, which may hold a token.
func words(err error) string {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err.Error()
	}
	return err.Error()
}

// retryAt reads Retry-After: seconds or an HTTP date, at most a day ahead.
func retryAt(header string, now time.Time) (time.Time, bool) {
	header = strings.TrimSpace(header)
	if header == "" {
		return time.Time{}, false
	}
	at, err := http.ParseTime(header)
	if s, numErr := strconv.ParseUint(header, 10, 32); numErr == nil {
		at, err = now.Add(min(time.Duration(s)*time.Second, maxRetryAfter)), nil
	}
	if err != nil || at.Before(now) {
		return time.Time{}, false
	}
	if latest := now.Add(maxRetryAfter); at.After(latest) {
		at = latest
	}
	return at, true
}
