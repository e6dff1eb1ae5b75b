package bench

import "context"

// Group is a set of figures that are measured together.
type Group struct {
	Name string
	// Measure runs on fresh engines; config is the directory of the example.
	Measure func(ctx context.Context, config string) ([]Line, error)
}

// Groups lists all, in the order they are run.
func Groups() []Group {
	return []Group{
		{"scoring", Scoring},
		{"ingest", Ingest},
		{"sources", Sources},
		{"speed", Speed},
		{"mails", Mails},
		{"idle", Idle},
	}
}
