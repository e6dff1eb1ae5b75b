package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/pkg/rpc"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	// file holds the authority's own certificate.
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, filepath.Join(a.dir, "ca.pem"), "CERTIFICATE", raw)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, file, kind string, raw []byte) string {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sign writes a certificate for one name to <file>.pem and <file>.key.
func (a *authority) sign(t *testing.T, file, name string) (cert, key string) {
	t.Helper()
	own := newKey(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	cert = writePEM(t, filepath.Join(a.dir, file+".pem"), "CERTIFICATE", raw)
	key = writePEM(t, filepath.Join(a.dir, file+".key"), "PRIVATE KEY", rawKey)
	return cert, key
}

// become makes the process show a certificate and believe in an authority.
func become(t *testing.T, cert, key, ca string) {
	t.Helper()
	t.Setenv("NURTURE_TLS_CERT", cert)
	t.Setenv("NURTURE_TLS_KEY", key)
	t.Setenv("NURTURE_TLS_CA", ca)
}

// ask makes one call on a connection that is not tried again.
func ask(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := ingestv1.NewIngestServiceClient(conn).GetLead(ctx, &ingestv1.GetLeadRequest{LeadId: "known"})
	return err
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%s: got %v, want a refused connection", what, err)
	}
}

func TestServicesShowEachOtherCertificates(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.sign(t, "ingest", "localhost")
	become(t, cert, key, ca.file)
	f := serve(t, &ingest{}, nil)
	if err := ask(t, f.conn); err != nil {
		t.Errorf("mutual TLS: %v", err)
	}

	bare, err := grpc.NewClient(f.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bare.Close() }()
	refused(t, "plaintext", ask(t, bare))

	become(t, "", "", "")
	refused(t, "plaintext by Dial", ask(t, dial(t, f.grpc)))

	stranger := newAuthority(t)
	cert, key = stranger.sign(t, "stranger", "localhost")
	become(t, cert, key, ca.file)
	refused(t, "a caller nobody here signed", ask(t, dial(t, target(f))))
}

// target is the served address by a name that certificates can hold.
func target(f *front) string { return strings.Replace(f.grpc, "127.0.0.1", "localhost", 1) }

func TestAServerWithAnotherNameIsRefused(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.sign(t, "scoring", "scoring.example")
	become(t, cert, key, ca.file)
	f := serve(t, &ingest{}, nil)
	refused(t, "wrong SAN", ask(t, f.conn))
}

func TestCallersNeedOneOfTheExpectedNames(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.sign(t, "ingest", "localhost")
	become(t, cert, key, ca.file)
	t.Setenv("NURTURE_TLS_PEERS", "campaign.example, handoff.example")
	f := serve(t, &ingest{}, nil)
	refused(t, "a caller that is not expected", ask(t, f.conn))
	cert, key = ca.sign(t, "campaign", "campaign.example")
	become(t, cert, key, ca.file)
	if err := ask(t, dial(t, target(f))); err != nil {
		t.Errorf("an expected caller: %v", err)
	}
}

func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.sign(t, "ingest", "old.example")
	become(t, cert, key, ca.file)
	f := serve(t, &ingest{}, nil)
	refused(t, "before", ask(t, dial(t, target(f))))
	ca.sign(t, "ingest", "localhost")
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(cert, later, later); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, dial(t, target(f))); err != nil {
		t.Errorf("after: %v", err)
	}
}

func TestPlaintextStaysOnLoopbackUnlessToldOtherwise(t *testing.T) {
	for target, ok := range map[string]bool{
		"127.0.0.1:9080": true, "[::1]:9080": true, "localhost:9080": true, "dns:///localhost:9080": true, "unix:///run/x.sock": true,
		"ingest:9080": false, "dns:///ingest:9080": false, "10.0.0.1:9080": false, "localhost.example:9080": false,
	} {
		conn, err := rpc.Dial(target)
		if err == nil {
			_ = conn.Close()
		} else if !strings.Contains(err.Error(), "plaintext is for loopback only: set NURTURE_TLS_CERT") {
			t.Errorf("%s: %v", target, err)
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
	t.Setenv("NURTURE_TLS", "off")
	conn, err := rpc.Dial("ingest:9080")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestHalfASetUpIsAnError(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.sign(t, "ingest", "localhost")
	empty := writePEM(t, filepath.Join(ca.dir, "empty.pem"), "NOTHING", nil)
	for _, c := range []struct {
		what, cert, key, ca, want string
	}{
		{"no key", cert, "", ca.file, "set all of NURTURE_TLS_CERT"},
		{"no authority", cert, key, "", "set all of NURTURE_TLS_CERT"},
		{"missing file", cert, key, "/nowhere.pem", "read NURTURE_TLS_CA"},
		{"no certificate in the file", cert, key, empty, "no PEM certificate"},
		{"key of another", cert, ca.file, ca.file, "load NURTURE_TLS_CERT and NURTURE_TLS_KEY"},
	} {
		t.Run(c.what, func(t *testing.T) {
			become(t, c.cert, c.key, c.ca)
			if _, err := rpc.Dial("localhost:1"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
