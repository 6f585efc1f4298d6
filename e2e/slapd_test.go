//go:build e2e

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
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

// slapd is a directory of users. It keeps its addresses and its entries when it is stopped and started again.
type slapd struct {
	binary, dir   string
	plain, secure string // host:port
	ca            string // file of the authority of its certificate
	stop          func()
	cleanup       func(func()) // calls a function when nobody needs the server any more
}

const slapdConf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
password-hash {CLEARTEXT}
database mdb
suffix "dc=example,dc=com"
rootdn "cn=root,dc=example,dc=com"
rootpw "root secret"
directory %[1]s/data
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous auth
overlay memberof
overlay ppolicy
ppolicy_default "cn=policy,dc=example,dc=com"
`

const slapdEntries = `
dn: dc=example,dc=com
objectClass: domain
dc: example

dn: cn=gateway,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: gateway
userPassword: search secret

dn: cn=policy,dc=example,dc=com
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: uid=Alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: Alice
cn: Alice
sn: x
mail: alice@example.com
userPassword: secret of alice

dn: uid=locked,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: locked
cn: locked
sn: x
userPassword: secret of locked
pwdAccountLockedTime: 000001010000Z

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups
`

// startSlapd runs one with Alice, who is in the groups admins and staff, and with locked.
func startSlapd(t *testing.T) *slapd {
	t.Helper()
	s := &slapd{dir: t.TempDir(), plain: freeAddress(t), secure: freeAddress(t), cleanup: t.Cleanup}
	var err error
	if s.binary, err = exec.LookPath("slapd"); err != nil {
		s.binary = "/usr/sbin/slapd" // not in everybody's PATH
		if _, err := os.Stat(s.binary); err != nil {
			t.Skip("slapd is not installed: users on LDAP servers are not tested")
		}
	}
	s.certify(t)
	s.put(t, "slapd.conf", fmt.Sprintf(slapdConf, s.dir))
	s.put(t, "entries.ldif", slapdEntries)
	if err := os.Mkdir(filepath.Join(s.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	add := exec.CommandContext(t.Context(), s.binary, "-T", "add", "-f", filepath.Join(s.dir, "slapd.conf"),
		"-l", filepath.Join(s.dir, "entries.ldif"))
	if output, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", add, err, output)
	}
	s.start(t)
	s.addGroups(t, "admins", "staff")
	return s
}

// start runs the server until stop is called, or until the end of the test that startSlapd was called for.
func (s *slapd) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(s.binary, "-d", "0", "-h", "ldap://"+s.plain+" ldaps://"+s.secure,
		"-f", filepath.Join(s.dir, "slapd.conf"))
	d := startDaemon(t, "slapd", cmd)
	s.stop = d.stop
	s.cleanup(s.stop)
	for _, address := range []string{s.plain, s.secure} {
		d.is(t, "listens", func() bool { return answers(t, "tcp", address) })
	}
}

// addGroups adds groups of Alice. The server then says so in her memberOf.
func (s *slapd) addGroups(t *testing.T, names ...string) {
	t.Helper()
	conn, err := ldap.DialURL("ldap://" + s.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind("cn=root,dc=example,dc=com", "root secret"); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		group := ldap.NewAddRequest("cn="+name+",ou=groups,dc=example,dc=com", nil)
		group.Attribute("objectClass", []string{"groupOfNames"})
		group.Attribute("member", []string{"uid=Alice,ou=people,dc=example,dc=com"})
		if err := conn.Add(group); err != nil {
			t.Fatal(err)
		}
	}
}

// certify makes the server's certificate, for 127.0.0.1.
func (s *slapd) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.ca = s.put(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	s.put(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// put writes a file of the server.
func (s *slapd) put(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(strings.TrimLeft(text, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freeAddress is one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
