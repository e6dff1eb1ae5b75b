// Package leadview joins what the services know about a lead into one view
// without personal data: what conditions are written against, and what a
// decision keeps in its record's cause.
//
//	views := leadview.New(leadview.Deps{Redis: rdb, Ingest: ingest, Scoring: scoring, Campaign: campaign})
//	byLead, err := views.View(ctx, ids)
//
// Each part is read from its owner's cached record in Redis, all leads in one
// round trip. What is not there, or cannot be read, is asked of its owner over
// gRPC, all leads in one call. Redis may be slow, empty or gone: that costs
// time and changes no answer.
package leadview
