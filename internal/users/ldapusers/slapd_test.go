package ldapusers_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	base     = "dc=example,dc=com"
	searcher = "cn=searcher,dc=example,dc=com"
	people   = "ou=people,dc=example,dc=com"
	// patience is how long a server may take to do what a test needs.
	patience = 30 * time.Second
)

// slapd is a server with users. It listens on ports of its own, and ends with the test.
type slapd struct {
	t       testing.TB
	plain   string // ldap://
	secure  string // ldaps://
	trusted *tls.Config
	dir     string
}

const slapdConf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile %[1]s/pid
argsfile %[1]s/args
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
password-hash {CLEARTEXT}
database mdb
suffix "dc=example,dc=com"
rootdn "cn=root,dc=example,dc=com"
rootpw "root secret"
directory %[1]s/data
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=hidden,dc=example,dc=com"
  by dn="cn=searcher,dc=example,dc=com" read by anonymous auth by * none
access to * by users read by anonymous auth
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default "cn=policy,dc=example,dc=com"
`

const entries = `
dn: dc=example,dc=com
objectClass: domain
dc: example

dn: cn=searcher,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: searcher
userPassword: search secret

dn: cn=policy,dc=example,dc=com
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 0
pwdMustChange: TRUE

dn: cn=hard,dc=example,dc=com
objectClass: device
objectClass: pwdPolicy
cn: hard
pwdAttribute: userPassword
pwdMaxAge: 1

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: ou=hidden,dc=example,dc=com
objectClass: organizationalUnit
ou: hidden

dn: ou=away,dc=example,dc=com
objectClass: referral
objectClass: extensibleObject
ou: away
ref: ldap://127.0.0.1:1/dc=example,dc=com
`

func start(t testing.TB) *slapd {
	t.Helper()
	binary, err := exec.LookPath("slapd")
	if err != nil {
		binary = "/usr/sbin/slapd"
		if _, err := os.Stat(binary); err != nil {
			t.Skip("slapd is not installed")
		}
	}
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &slapd{t: t, dir: dir, trusted: certificate(t, dir)}
	put(t, filepath.Join(dir, "slapd.conf"), fmt.Sprintf(slapdConf, dir))
	put(t, filepath.Join(dir, "entries.ldif"), entries+s.people())
	s.run(binary, "-T", "add", "-f", filepath.Join(dir, "slapd.conf"), "-l", filepath.Join(dir, "entries.ldif"))
	s.plain, s.secure = "ldap://"+freeAddress(t), "ldaps://"+freeAddress(t)
	var output bytes.Buffer
	cmd := exec.CommandContext(context.Background(), binary, "-d", "0", "-h", s.plain+" "+s.secure,
		"-f", filepath.Join(dir, "slapd.conf"))
	cmd.Stdout, cmd.Stderr = &output, &output
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.secure, "ldaps://"))
		if err == nil {
			_ = conn.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("slapd does not start: %v\n%s", err, &output)
		}
	}
}

// person is an entry with a password.
func person(dn, password string, lines ...string) string {
	cn, _, _ := strings.Cut(dn[strings.IndexByte(dn, '=')+1:], ",")
	return fmt.Sprintf("\ndn: %s\nobjectClass: inetOrgPerson\ncn: %s\nsn: x\nuserPassword: %s\n%s\n", dn, cn, password,
		strings.Join(lines, "\n"))
}

func (s *slapd) people() string {
	return person("uid=alice,"+people, "secret a", "uid: alice", "mail: alice@example.com", "mail: a@example.com",
		"displayName: Alice <A&B>", "employeeType: staff", "employeeType: admin") +
		person("uid=bob,"+people, "secret b", "uid: bob", "mail: bob@example.com") +
		person("uid=locked,"+people, "secret l", "uid: locked", "pwdAccountLockedTime: 000001010000Z") +
		person("uid=reset,"+people, "secret r", "uid: reset", "pwdReset: TRUE") +
		person("uid=expired,"+people, "secret e", "uid: expired", "pwdPolicySubentry: cn=hard,"+base,
			"pwdChangedTime: 20000101000000Z") +
		person("uid=twice,"+people, "secret t", "uid: twice", "mail: bob2@example.com", "uid: bob3") +
		person("uid=twice,ou=hidden,"+base, "secret h", "uid: twice", "mail: h@example.com") +
		person("uid=hidden,ou=hidden,"+base, "secret h", "uid: hidden") +
		person("uid=a\\,ou\\3dx,"+people, "secret c", "uid: a,ou=x") +
		person("uid=*,"+people, "secret s", "uid: *")
}

// root does something as the administrator.
func (s *slapd) root(do func(*ldap.Conn) error) {
	s.t.Helper()
	conn, err := ldap.DialURL(s.plain)
	if err == nil {
		defer conn.Close()
		err = conn.Bind("cn=root,"+base, "root secret")
	}
	if err == nil {
		err = do(conn)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *slapd) run(binary string, args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(context.Background(), binary, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// certificate makes a certificate for 127.0.0.1, and returns settings that trust it.
func certificate(t testing.TB, dir string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ldap"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})
	roots.AppendCertsFromPEM(text)
	put(t, filepath.Join(dir, "cert.pem"), string(text))
	put(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return &tls.Config{RootCAs: roots}
}
