package e2e

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// doorPorts are the ports that pages write, by the flag that moves each.
func doorPorts() map[string]string {
	ports := map[string]string{"nats-port": "4222"}
	for _, d := range box.Doors() {
		ports[d.Flag] = portOf(d.Addr)
	}
	return ports
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// secretVariables are the variables that sources.yaml names.
var secretVariables = regexp.MustCompile(`env: ([A-Z_]+)`)

// start runs Nurture on the configuration as it is now, unless it does so already.
func (r *reader) start() {
	r.Helper()
	now := string(r.file("sources.yaml")) + string(r.file("facts.yaml")) + string(r.file("access.yaml"))
	if r.nurture != nil && r.read == now {
		return
	}
	r.stop()
	for _, name := range secretVariables.FindAllStringSubmatch(now, -1) {
		if _, ok := r.env[name[1]]; !ok {
			r.env[name[1]] = "a secret that was agreed on"
		}
	}
	for range 5 {
		if r.launch() {
			r.read = now
			return
		}
	}
	r.Fatalf("others take each port that was free\n%s", r.log.bytes())
}

// launch runs Nurture on ports that are free, and waits until it is ready; false:
// somebody else took one of them meanwhile.
func (r *reader) launch() bool {
	r.Helper()
	args := []string{"run", "--demo", "off", "--config", ".", "--data", "data"}
	free := freePorts(r.T, len(doorPorts()))
	r.addr = map[string]string{}
	for flag, port := range doorPorts() {
		addr := free[len(r.addr)]
		r.addr[port] = addr
		if flag == "nats-port" {
			addr = portOf(addr)
		}
		args = append(args, "--"+flag, addr)
	}
	r.log, r.ended = &journal{}, make(chan error, 1)
	r.nurture = exec.Command(filepath.Join(r.dir, "bin", "nurture"), args...)
	r.nurture.Dir, r.nurture.Env = r.dir, r.environ()
	r.nurture.Stdout, r.nurture.Stderr = r.log, r.log
	if err := r.nurture.Start(); err != nil {
		r.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(r.nurture, r.ended)
	for deadline := time.Now().Add(20 * time.Second); !r.ready(); {
		select {
		case err := <-r.ended:
			r.nurture = nil
			if !strings.Contains(string(r.log.bytes()), "the port is in use") {
				r.Fatalf("nurture run ended: %v\n%s", err, r.log.bytes())
			}
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			r.Fatalf("nurture run is not ready\n%s", r.log.bytes())
		}
	}
	return true
}

// ready says whether the Nurture that was launched, and no other, is.
func (r *reader) ready() bool {
	if !strings.Contains(string(r.log.bytes()), "Nurture is running") {
		return false
	}
	for _, port := range []string{"8080", "8081", "8082", "8083"} {
		if statusOf(r.T, http.MethodGet, "http://"+r.addr[port]+"/readyz", "", "") != http.StatusOK {
			return false
		}
	}
	return true
}

// stop ends Nurture, if it runs, and waits for it.
func (r *reader) stop() {
	if r.nurture == nil {
		return
	}
	_ = r.nurture.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-r.ended:
		if err != nil {
			r.Errorf("nurture run did not end well: %v\n%s", err, r.log.bytes())
		}
	case <-time.After(20 * time.Second):
		_ = r.nurture.Process.Kill()
		<-r.ended
		r.Errorf("nurture run did not end within 20 s\n%s", r.log.bytes())
	}
	r.nurture = nil
}
