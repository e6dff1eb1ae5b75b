package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const plaintextHint = "plaintext is for loopback only: set NURTURE_TLS_CERT, NURTURE_TLS_KEY and NURTURE_TLS_CA, " +
	"or NURTURE_TLS=off where the network itself is trusted"

// identity is what this process shows its peers, and whom it believes.
type identity struct {
	certFile, keyFile string
	authorities       *x509.CertPool
	// peers are the names of which a caller must have one; empty: any name that
	// an authority signed.
	peers []string

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  time.Time
}

// identityFromEnv reads the NURTURE_TLS_* variables. It answers nil, nil when
// none is set, and an error when only some are.
func identityFromEnv() (*identity, error) {
	id := &identity{certFile: os.Getenv("NURTURE_TLS_CERT"), keyFile: os.Getenv("NURTURE_TLS_KEY")}
	ca := os.Getenv("NURTURE_TLS_CA")
	if id.certFile == "" && id.keyFile == "" && ca == "" {
		return nil, nil
	}
	if ca == "" || (id.certFile == "") != (id.keyFile == "") {
		return nil, errors.New("set all of NURTURE_TLS_CERT, NURTURE_TLS_KEY and NURTURE_TLS_CA, or none; NURTURE_TLS_CA alone is enough to call with a token")
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read NURTURE_TLS_CA: %w", err)
	}
	id.authorities = x509.NewCertPool()
	if !id.authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read NURTURE_TLS_CA: %s has no PEM certificate", ca)
	}
	for peer := range strings.SplitSeq(os.Getenv("NURTURE_TLS_PEERS"), ",") {
		if peer = strings.TrimSpace(peer); peer != "" {
			id.peers = append(id.peers, peer)
		}
	}
	if id.certFile == "" {
		return id, nil
	}
	if _, err := id.certificate(); err != nil {
		return nil, err
	}
	return id, nil
}

// certificate answers the certificate in the files, read again when they
// changed, so that a renewed one is used without a restart. While a new pair
// cannot be read, the old one stays.
func (id *identity) certificate() (*tls.Certificate, error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	stamp, err := newest(id.certFile, id.keyFile)
	if err == nil && (id.loaded == nil || !stamp.Equal(id.stamp)) {
		var cert tls.Certificate
		if cert, err = tls.LoadX509KeyPair(id.certFile, id.keyFile); err == nil {
			id.loaded, id.stamp = &cert, stamp
		}
	}
	if id.loaded == nil {
		return nil, fmt.Errorf("load NURTURE_TLS_CERT and NURTURE_TLS_KEY: %w", err)
	}
	return id.loaded, nil
}

func newest(files ...string) (time.Time, error) {
	var latest time.Time
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return time.Time{}, err
		}
		if info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest, nil
}

// serverCredentials ask callers for a certificate; where there are tokens, whoever
// has none may show a token instead.
func (id *identity) serverCredentials(tokens bool) (credentials.TransportCredentials, error) {
	if id.certFile == "" {
		return nil, errors.New("NURTURE_TLS_CA alone is for callers: a server needs NURTURE_TLS_CERT and NURTURE_TLS_KEY too")
	}
	auth := tls.RequireAndVerifyClientCert
	if tokens {
		auth = tls.VerifyClientCertIfGiven
	}
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: auth,
		ClientCAs:  id.authorities,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return id.certificate()
		},
		VerifyConnection: id.verifyCaller,
	}), nil
}

func (id *identity) clientCredentials() (credentials.TransportCredentials, error) {
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    id.authorities,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if id.certFile == "" {
				return &tls.Certificate{}, nil // none: a token says who we are
			}
			return id.certificate()
		},
	}), nil
}

// verifyCaller refuses a caller none of whose names is expected. The chain has
// been verified before.
func (id *identity) verifyCaller(cs tls.ConnectionState) error {
	if len(id.peers) == 0 || len(cs.PeerCertificates) == 0 {
		return nil
	}
	names := slices.Clone(cs.PeerCertificates[0].DNSNames)
	for _, uri := range cs.PeerCertificates[0].URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if slices.Contains(id.peers, name) {
			return nil
		}
	}
	return fmt.Errorf("caller %q is not among NURTURE_TLS_PEERS", names)
}

// credentialsFor chooses the credentials for a peer or a listener: those of
// the environment, or plaintext when that is allowed.
func credentialsFor(loopback bool, choose func(*identity) (credentials.TransportCredentials, error)) (credentials.TransportCredentials, error) {
	id, err := identityFromEnv()
	switch {
	case err != nil:
		return nil, err
	case id != nil:
		return choose(id)
	case loopback || os.Getenv("NURTURE_TLS") == "off":
		return insecure.NewCredentials(), nil
	}
	return nil, errors.New(plaintextHint)
}

// loopbackAddr reports whether a listener can be reached from this machine only.
func loopbackAddr(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// loopbackTarget reports whether a gRPC target is on this machine.
func loopbackTarget(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	if i := strings.LastIndex(target, "/"); i >= 0 {
		target = target[i+1:]
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
