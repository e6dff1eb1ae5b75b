// Package hook is what the webhooks of all senders have in common: a call as it
// came, whether its signature is the sender's, and what it tells. Each sender's
// dialect is a package below. Pure.
package hook
