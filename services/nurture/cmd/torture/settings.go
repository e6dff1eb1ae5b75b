package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// settings are what the command line says.
type settings struct {
	profile  torture.Profile
	seed     uint64
	dir, bin string
	check    string
	selfTest bool
	keep     bool
}

func parse(args []string) (settings, error) {
	var set settings
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	length := flags.String("length", cmp.Or(os.Getenv("TORTURE"), "short"), "short (about two minutes) or long (a quarter of an hour)")
	flags.Uint64Var(&set.seed, "seed", 0, "draws people and blows; 0 takes the clock's")
	flags.StringVar(&set.dir, "dir", "", "new directory for everything of the run; default: a temporary one")
	flags.StringVar(&set.bin, "bin", "", "directory with the binaries of the four services; default: build them from this repository")
	flags.StringVar(&set.check, "check", "", "judge the evidence of an earlier run again: its directory")
	flags.BoolVar(&set.selfTest, "self-test", false, "spoil recorded evidence in every way the checker must see")
	flags.BoolVar(&set.keep, "keep", false, "keep the directory also when nothing is wrong")
	people := flags.Int("people", 0, "how many people; default: what the length says")
	load := flags.Duration("load", 0, "how long they arrive; default: what the length says")
	if err := flags.Parse(args); err != nil {
		return set, err
	}
	if flags.NArg() > 0 {
		return set, fmt.Errorf("unknown argument %q: see --help", flags.Arg(0))
	}
	switch *length {
	case "short":
		set.profile = torture.Short()
	case "long":
		set.profile = torture.Long()
	default:
		return set, fmt.Errorf("unknown length %q: use short or long", *length)
	}
	set.profile.People = cmp.Or(*people, set.profile.People)
	set.profile.Load = cmp.Or(*load, set.profile.Load)
	if set.seed == 0 {
		set.seed = uint64(time.Now().UnixNano()) % 1_000_000 //nolint:gosec // after 1970
	}
	return set, nil
}
