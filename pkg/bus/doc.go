// Package bus is the way services talk over NATS JetStream: connect, declare
// the streams, publish durably, share work between replicas, park what cannot
// be processed, and carry traces in message headers. It knows subjects, not leads.
package bus
