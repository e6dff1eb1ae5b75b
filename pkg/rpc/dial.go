package rpc

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/health" // lets clients watch the health of what they call
	"google.golang.org/grpc/keepalive"
)

// DefaultDeadline is the time a call may take when its context has no deadline.
const DefaultDeadline = 5 * time.Second

// serviceConfig: spread calls over all healthy addresses of a name; try again,
// up to 4 times within the deadline, only what the server says it did not take.
// The throttle stops retries while most calls fail.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": ""},
  "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.05s",
      "maxBackoff": "1s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
}`

// Dial prepares a connection to a service, e.g. "127.0.0.1:9080" or
// "dns:///scoring:9081"; it connects when first used and again when lost. The
// credentials come from the environment (see the package comment), NURTURE_TOKEN
// among them; plaintext to another machine is an error. Calls without a deadline
// get DefaultDeadline.
func Dial(target string) (*grpc.ClientConn, error) {
	return DialAs(target, os.Getenv("NURTURE_TOKEN"))
}

// DialAs is Dial with a token of the caller's; empty: none.
func DialAs(target, token string) (*grpc.ClientConn, error) {
	token = strings.TrimSpace(token)
	creds, err := credentialsFor(loopbackTarget(target), (*identity).clientCredentials)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	conn, err := grpc.NewClient(target,
		grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithChainUnaryInterceptor(withDeadline),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithFilter(notHealth))),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return conn, nil
}

// bearer is a token that goes with every call.
type bearer string

// GetRequestMetadata gives the token.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: where plaintext is allowed has been decided
// before, and a token says no more than what it is sent with.
func (bearer) RequireTransportSecurity() bool { return false }

// withDeadline bounds calls that nobody bounded.
func withDeadline(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultDeadline)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
