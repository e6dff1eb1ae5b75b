// Package crm tells the CRM: it works on the delivery intents in handoff
// records, sends each as a signed webhook and as an event on OUTBOUND, and
// stores the outcome, which the desk folds. What an answer means is in
// outcome.go, what must not be reached in guard.go.
package crm
