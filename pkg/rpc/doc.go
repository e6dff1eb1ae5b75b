// Package rpc is how services talk and how the world talks to them: gRPC with
// health, reflection, validation, tracing and one mapping from errors to
// statuses, and the same API as REST/JSON beside it.
//
//	conn, err := rpc.Dial("127.0.0.1:9080")
//	err := rpc.Serve(ctx, rpc.ServeOptions{
//		GRPC: grpcListener, HTTP: httpListener, Log: log,
//		Register: func(s *grpc.Server) { ingestv1.RegisterIngestServiceServer(s, server) },
//		Gateway: []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
//			ingestv1.RegisterIngestServiceHandler,
//		},
//		Handler: formsAndTracking,
//	})
//
// Errors. A handler returns plain Go errors. status.go turns them into a
// status: marked ones (Mark, RetryAfter, Invalid) into theirs, the ledger's
// sentinels and context errors into the obvious ones, and everything else into
// INTERNAL with the text kept in the log and away from the caller. Over HTTP
// the same error is an application/problem+json document (RFC 9457) whose
// fields list names each bad field; 429 and 503 carry Retry-After.
//
// Trust. Plaintext is for loopback. Between machines both sides show a
// certificate, set up by the environment:
//
//	NURTURE_TLS_CERT, NURTURE_TLS_KEY   PEM files of this process; read again when they change
//	NURTURE_TLS_CA                      PEM file of the authorities that sign the peers
//	NURTURE_TLS_PEERS                   optional: comma-separated DNS or URI names; callers need one of them
//	NURTURE_TLS=off                     allow plaintext beyond loopback, where the network itself is trusted
//
// Access. Each RPC says in its proto file which role its caller needs. A caller
// with a verified certificate has all; others show a bearer token, whose hash
// is in ServeOptions.Access's file. Without a file, callers on this machine are
// served and nobody else. The routes of ServeOptions.Handler are the public's;
// /metrics needs the role read, /healthz and /readyz nothing.
//
//	NURTURE_TOKEN                       the token that Dial shows
//	NURTURE_TLS_CA alone                enough to call over TLS with a token
package rpc
