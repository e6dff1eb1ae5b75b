package k8s

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// stage is what the pods of an overlay would find in a cluster.
type stage struct {
	t *testing.T
	m *manifests
	// names are the addresses in the cluster, and what they are here.
	names  map[string]string
	actors []*actor
	// made are the values of Secrets, by name and key.
	made  map[string]string
	token string
}

func newStage(t *testing.T, m *manifests) *stage {
	t.Helper()
	s := &stage{t: t, m: m, names: map[string]string{"redis:6379": "127.0.0.1:1"}, made: map[string]string{}}
	s.openLog()
	for _, p := range m.pods() {
		for range p.replicas {
			if !p.ours() {
				break
			}
			a := &actor{stage: s, pod: p, http: free(t), grpc: free(t), dir: t.TempDir()}
			s.names["dns:///"+p.name+":9090"] = a.grpc
			s.actors = append(s.actors, a)
		}
	}
	s.makeSecrets()
	return s
}

// actor is the first of a service.
func (s *stage) actor(name string) *actor {
	for _, a := range s.actors {
		if a.name == name {
			return a
		}
	}
	panic("no " + name)
}

// openLog starts a server, as nats.conf says, but here.
func (s *stage) openLog() {
	s.t.Helper()
	o, err := s.m.log()
	if err != nil {
		s.t.Fatal(err)
	}
	o.Host, o.Port, o.HTTPHost, o.HTTPPort, o.NoSigs, o.NoLog = "127.0.0.1", -1, "127.0.0.1", -1, true, true
	o.StoreDir, o.ConfigFile = s.t.TempDir(), ""
	srv, err := server.NewServer(o)
	if err != nil {
		s.t.Fatal(err)
	}
	srv.Start()
	s.t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	s.until("the log takes connections", func() bool { return srv.ReadyForConnections(time.Second) })
	s.names["nats:4222"] = strings.TrimPrefix(srv.ClientURL(), "nats://")
	s.names["nats:8222"] = srv.MonitorAddr().String()
}

// makeSecrets does what README.md asks for before the overlay is applied.
func (s *stage) makeSecrets() {
	s.t.Helper()
	for key, value := range map[string]string{
		"ingest-keys/identity.key": strings.Repeat("ab", 32), "ingest-keys/data.key": strings.Repeat("cd", 32),
		"campaign-keys/link-keys": strings.Repeat("ef", 32), "handoff-keys/webhook-secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"campaign-keys/smtp-username": "", "campaign-keys/smtp-password": "",
	} {
		s.made[key] = value
	}
	ca, caKey := s.certificate("nurture", nil, nil)
	for _, name := range services {
		cert, key := s.certificate(name, ca, caKey)
		s.made[name+"-tls/tls.crt"] = encode("CERTIFICATE", cert.Raw)
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			s.t.Fatal(err)
		}
		s.made[name+"-tls/tls.key"], s.made[name+"-tls/ca.crt"] = encode("PRIVATE KEY", raw), encode("CERTIFICATE", ca.Raw)
	}
	if s.m.overlay == "dev" {
		return
	}
	file := filepath.Join(s.t.TempDir(), "access.yaml")
	out, err := run("./services/nurture/cmd/nurture", "access", "create", "ops", "--role", "operate,personal", "--file", file)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	s.made["access/access.yaml"], s.token = string(raw), regexp.MustCompile(`nt_ops_\S+`).FindString(out)
}

// secret is a value that README.md makes.
func (s *stage) secret(name, key string) string {
	s.t.Helper()
	value, ok := s.made[name+"/"+key]
	if !ok {
		s.t.Fatalf("nobody makes %s in the secret %s", key, name)
	}
	return value
}

// certificate makes one for a service, good for this machine too; without an
// authority, the authority's.
func (s *stage) certificate(name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ca == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		ca, caKey = c, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), caKey)
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return made, key
}

func encode(kind string, raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
}

// given are the ports that free has given away.
var given sync.Map

// free is an address of this machine that nobody has at this moment: below the
// ports that the system gives to connections, and those that other tests choose from.
func free(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(8_000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		if _, taken := given.LoadOrStore(addr, true); !taken {
			return addr
		}
	}
	t.Fatal("no port between 10000 and 18000 is free")
	return ""
}
