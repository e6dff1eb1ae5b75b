// Package ties follows, for any service, which leads are one person. Ingest tells
// of merges and of their undoing in its records; a service that keeps something
// about leads of its own follows them like this:
//
//   - A lead that is merged into another one closes.
//   - The lead it is merged into awaits what the closed one has. It asks to be
//     woken, looks at the closed lead's state then, and takes over what is in it.
//     It looks again, less and less often, until all is there: the closed lead
//     may be behind, or something of it may still be under way.
//   - A lead that is separated opens again; the other one gives back.
//
// The streams of two leads are read independently, so a state may be behind what
// the other lead was told. Sequences in LEADS say whether a closed state is that
// of the merge in question or of an earlier one. The package is pure.
package ties
