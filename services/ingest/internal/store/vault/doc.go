// Package vault keeps what is personal in ingest's records under a key of the
// lead's own. Every lead has a data key; the key is kept in the log, wrapped in
// a key of the service, under the lead's subject. Whoever destroys the data key
// has forgotten the lead, whatever copies of its records there are.
//
// ring.go wraps, key.go keeps the keys in the log, codec.go seals records,
// plain.go says what of a record may be read without the key, and words.go seals
// what other services keep.
package vault
