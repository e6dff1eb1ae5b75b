// Package access says who may use the API: names, the roles they have, and the
// hashes of their tokens. Pure: whoever asks says what time it is.
//
//	access:
//	  grafana:
//	    roles: [read]
//	    tokens:
//	      - {sha256: <64 hex digits>, prefix: nt_grafana_1f3c, created: 2026-11-25, expires: 2027-11-25}
//
// A token is shown once, when it is made, and kept nowhere: the file has its
// SHA-256. That is enough, and fast, because a token is 32 random bytes and not
// a password. A name has at most two, so that a new one can come before the old
// one goes.
package access
