package k8s

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// services are those that have a binary of their own.
var services = [...]string{"ingest", "scoring", "campaign", "handoff"}

// setting is one that a service lists when it is asked for help.
type setting struct {
	env      string
	fallback string
}

// settings asks each service once what it can be told, by flag.
var settings = sync.OnceValue(func() map[string]map[string]setting {
	var mu sync.Mutex
	var all sync.WaitGroup
	list := map[string]map[string]setting{}
	for _, name := range services {
		all.Go(func() {
			help, err := run(service(name), "--help")
			if err != nil {
				panic(fmt.Sprintf("%s --help: %v\n%s", name, err, help))
			}
			mu.Lock()
			defer mu.Unlock()
			list[name] = readHelp(help)
		})
	}
	all.Wait()
	return list
})

// readHelp reads what pkg/config prints: a line with the flag, and one that ends
// with the variable and the default in brackets.
func readHelp(help string) map[string]setting {
	found := map[string]setting{}
	item := regexp.MustCompile(`(?m)^  (?:--([a-z-]+)(?: FILE)?|([a-z._]+):)\n(.*)$`)
	source := regexp.MustCompile(`\(([A-Z_]+)(?:, default (.*))?\)$`)
	for _, m := range item.FindAllStringSubmatch(help, -1) {
		flag := m[1]
		if flag == "" { // only a file can hold it
			flag = strings.NewReplacer(".", "-", "_", "-").Replace(m[2])
		}
		s := setting{}
		if v := source.FindStringSubmatch(m[3]); v != nil {
			s = setting{v[1], v[2]}
		}
		found[flag] = s
	}
	return found
}

// programs are the paths of binaries that were asked for, by package.
var programs sync.Map

// program builds a command of this repository, unless Go's cache has it as it is,
// and tells where the cache keeps it.
func program(command string) (string, error) {
	once, _ := programs.LoadOrStore(command, sync.OnceValues(func() (string, error) {
		for range 2 { // a binary that was just made is told where it was made, and is in the cache the next time
			path, err := runPath(command)
			if err != nil {
				return "", err
			}
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
		return "", errors.New("the binary is not in Go's cache")
	}))
	return once.(func() (string, error))()
}

// runPath is what `go run` would run.
func runPath(command string) (string, error) {
	cmd := exec.Command("go", "run", "-exec", "echo", command)
	cmd.Dir = root
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w\n%s", err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// service is the package of a service's binary.
func service(name string) string { return "./services/" + name + "/cmd/" + name }

// run runs a command of this repository.
func run(command string, args ...string) (string, error) {
	path, err := program(command)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", command, err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// durationOf is the default of a duration among a service's settings.
func durationOf(service, flag string) time.Duration {
	d, err := time.ParseDuration(settings()[service][flag].fallback)
	if err != nil {
		panic(err)
	}
	return d
}

// ambient are the variables that processes read beside their settings, and Go's own.
var ambient = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{"GOMEMLIMIT": true, "GOGC": true}
	read := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("([A-Z_]+)"\)`)
	err := filepath.WalkDir(filepath.Join(root, "pkg"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, m := range read.FindAllStringSubmatch(string(raw), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	return names
})

// variables are all that a service reads from the environment.
func variables(service string) map[string]bool {
	all := maps.Clone(ambient())
	for _, s := range settings()[service] {
		all[s.env] = true
	}
	return all
}

// readme is the page that says how to make what is in no file.
var readme = sync.OnceValue(func() string {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		panic(err)
	}
	return string(raw)
})

// secrets are what README.md makes with `kubectl create secret`: the keys of each,
// and which of them may be left out.
var secrets = sync.OnceValue(func() map[string][]string {
	joined := strings.ReplaceAll(readme(), "\\\n", " ")
	made := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)kubectl create secret generic (\S+)(.*)$`).FindAllStringSubmatch(joined, -1) {
		for _, key := range regexp.MustCompile(`--from-(?:literal|file)=([a-z.-]+)=`).FindAllStringSubmatch(m[2], -1) {
			for _, name := range each(m[1]) {
				made[name] = append(made[name], key[1])
			}
		}
	}
	return made
})

// each spells out a name of README.md's loops over the services.
func each(name string) []string {
	if !strings.Contains(name, "$svc") {
		return []string{name}
	}
	var names []string
	for _, s := range services {
		names = append(names, strings.ReplaceAll(name, "$svc", s))
	}
	return slices.Clip(names)
}
