// Package config fills one struct from defaults, a YAML file, the environment
// and flags, each stronger than the one before, and decodes YAML strictly for
// everything a person writes: settings, models, programs, routes.
//
//	cfg := scoring.DefaultConfig()
//	err := config.Load(&cfg, config.Options{
//		File: "scoring.yaml", EnvPrefix: "SCORING", Args: os.Args[1:],
//	})
//
// A field is a setting when it has a yaml tag; its help tag says what it means:
//
//	type Config struct {
//		HTTPAddr string        `yaml:"http_addr" help:"where HTTP is served"`
//		Timeout  time.Duration `yaml:"timeout" help:"how long a delivery may take"`
//		Key      string        `yaml:"key" help:"signs links" secret:"true"`
//		SMTP     SMTP          `yaml:"smtp"`
//	}
//
// The field smtp.addr is --smtp-addr as a flag and SCORING_SMTP_ADDR in the
// environment. --config names another file, --help prints every setting.
// Durations are written like 90s, 1h30m, 7d or 2w; lists in flags and the
// environment are separated by commas.
//
// Errors name the file, the line, the column and what was expected there.
package config
