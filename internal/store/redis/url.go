package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/redis/rueidis"
)

// maxAddresses bounds how many servers are tried one after another.
const maxAddresses = 32

// settings are what a URL says.
type settings struct {
	network   string // "tcp" or "unix"
	addresses []string
	user      string
	password  string
	database  int
	masterSet string      // with it, the addresses are those of sentinels
	tls       *tls.Config // nil for none

	sentinelUser, sentinelPassword string
}

const urlForm = "write redis://<user>:<password>@<host>:<port>/<database>, or rediss:// for TLS"

// parseURL reads the URL of a server. No error has a part of it in which a password can be.
func parseURL(text string, config *tls.Config) (*settings, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the URL cannot be read: " + urlForm +
			", and percent-encode special characters in the password")
	}
	if err := checkURL(u); err != nil {
		return nil, err
	}
	parsed, err := rueidis.ParseURL(text)
	if err != nil {
		return nil, errors.New("the URL cannot be read: " + urlForm)
	}
	s := &settings{
		network:   "tcp",
		addresses: parsed.InitAddress,
		user:      parsed.Username,
		password:  parsed.Password,
		database:  parsed.SelectDB,
		masterSet: parsed.Sentinel.MasterSet,
	}
	if u.Scheme == "unix" {
		s.network = "unix"
	}
	if parsed.TLSConfig != nil {
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if config != nil {
			s.tls = config.Clone()
		}
	} else if config != nil {
		return nil, errors.New("there are settings for TLS, but the URL is without TLS: write rediss:// in place of redis://")
	}
	return s, s.check()
}

// checkURL returns an error for what rueidis would read in another way, or not at all.
func checkURL(u *url.URL) error {
	switch u.Scheme {
	case "redis", "rediss", "valkey", "valkeys":
		if u.Hostname() == "" {
			return errors.New("the URL has no host: " + urlForm)
		}
	case "unix":
		if u.Host != "" || len(u.Path) < 2 {
			return errors.New("the URL of a socket is unix:///<path>, or unix://<user>:<password>@/<path>")
		}
		if u.RawQuery != "" {
			return errors.New("a URL with unix:// has nothing after the path")
		}
	default:
		return errors.New("the URL has an unknown scheme: " + urlForm)
	}
	if u.Opaque != "" || u.Fragment != "" {
		return errors.New("the URL cannot be read: " + urlForm + ", and percent-encode # in the password")
	}
	if u.Scheme != "unix" && strings.Trim(u.Path, "0123456789") != "/" && u.Path != "" {
		return errors.New("after the host, the URL has nothing but the number of a database, such as /0")
	}
	return checkQuery(u)
}

// queryAdvice says what to write instead of what rueidis knows and this store does not.
var queryAdvice = map[string]string{
	"db":            "write the number as the path, redis://<host>/<database>",
	"skip_verify":   "the certificate is always verified: name the authority that has issued it among the TLS settings",
	"protocol":      "the store chooses it",
	"client_cache":  "the store has no use for it",
	"client_name":   "the store has no use for it",
	"max_retries":   "the store retries by itself",
	"dial_timeout":  "set the timeout of the store",
	"write_timeout": "set the timeout of the store",
	"password":      "write it before the host, redis://<user>:<password>@<host>",
	"master_name":   "its name is master_set",
	"sentinel":      "addresses of sentinels are addr, with master_set",
}

func checkQuery(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("the query of the URL cannot be read: percent-encode special characters, also in the password")
	}
	for name, values := range query {
		switch {
		case name == "addr":
			for _, address := range values {
				if err := checkAddress(address); err != nil {
					return err
				}
			}
		case name == "master_set" && (len(values) > 1 || values[0] == ""):
			return errors.New("the URL has one master_set, and it is the name of the primary at the sentinels")
		case name != "master_set" && queryAdvice[name] != "":
			return fmt.Errorf("the URL has %s, which is not possible: %s", name, queryAdvice[name])
		case name != "master_set":
			return errors.New("the query of the URL has something unknown: there are only addr and master_set")
		}
	}
	return nil
}

// checkAddress returns an error for an address to which nobody can connect.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || strings.Trim(port, "0123456789") != "" {
		return errors.New("each addr of the URL is <host>:<port>, and an IPv6 address is in brackets")
	}
	return nil
}

// check returns an error for what cannot go together.
func (s *settings) check() error {
	switch {
	case len(s.addresses) > maxAddresses:
		return fmt.Errorf("the URL has %d addresses, and at most %d are possible", len(s.addresses), maxAddresses)
	case len(s.addresses) > 1 && s.masterSet == "" && s.database != 0:
		return errors.New("the URL has several addresses, which are those of a cluster, and the number of a database, " +
			"which a cluster does not have: leave the number out, or add master_set=<name> if these are sentinels")
	case s.sentinelPassword != "" && s.masterSet == "":
		return errors.New("there is a password for sentinels, but no sentinel: add master_set=<name> to the URL")
	}
	return nil
}
