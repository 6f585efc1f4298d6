package ldapusers

import (
	"errors"
	"fmt"
	"net"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/users"
)

// session is one connection while it answers one question.
type session struct {
	conn     *ldap.Conn
	messages *messages
}

func open(conn net.Conn) *session {
	s := &session{messages: newMessages(conn)}
	s.conn = ldap.NewConn(s.messages, false)
	s.conn.Start()
	return s
}

// close ends the connection. What the library still waits for on it ends, too.
func (s *session) close() {
	_ = s.messages.Close()
	_ = s.conn.Close()
}

// answer is a result code other than success (RFC 4511 section 4.1.9). The text that comes with it is the server's, and
// is left out: it may repeat what was sent.
type answer struct {
	code   uint16
	policy string // what the password policy says about a bind that was a success
}

// Error implements error.
func (a *answer) Error() string {
	if a.policy != "" {
		return "the password policy says: " + a.policy
	}
	name := ldap.LDAPResultCodeMap[a.code]
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("it answers %q (result code %d)", name, a.code)
}

// reason makes an answer of an error of the library, or finds what has come of the connection.
func (s *session) reason(err error) error {
	if trouble := s.messages.trouble(); trouble != nil {
		return trouble
	}
	if e, is := errors.AsType[*ldap.Error](err); is && e.ResultCode < ldap.ErrorNetwork {
		return &answer{code: e.ResultCode}
	}
	return errMalformed
}

var errNoCredentials = errors.New("a name or a password is missing: the server would take it for no attempt at all")

// bind authenticates the connection (RFC 4511 section 4.2). It sends nothing without a name or a password, because a
// server answers that with success (RFC 4513 section 5.1.1 and 5.1.2). It also asks for what the password policy says.
func (s *session) bind(dn, password string) error {
	if dn == "" || password == "" {
		return errNoCredentials
	}
	s.messages.want(bindResponse)
	result, err := s.conn.SimpleBind(
		ldap.NewSimpleBindRequest(dn, password, []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
	if err != nil {
		return s.reason(err)
	}
	for _, control := range result.Controls {
		switch c := control.(type) {
		case *ldap.ControlBeheraPasswordPolicy:
			if c.Error >= 0 {
				return &answer{policy: c.ErrorString}
			}
		case *ldap.ControlVChuPasswordMustChange:
			return &answer{policy: "the password must be changed"}
		}
	}
	return nil
}

// bindAs is bind for somebody who wants to sign in. What refuses the user is an ErrRefused.
func (s *session) bindAs(dn, password string) error {
	err := s.bind(dn, password)
	a, is := errors.AsType[*answer](err)
	if !is {
		return err
	}
	switch {
	case a.policy != "":
	case a.code == ldap.LDAPResultInvalidCredentials, a.code == ldap.LDAPResultNoSuchObject:
	case a.code == ldap.LDAPResultUnwillingToPerform, a.code == ldap.LDAPResultConstraintViolation,
		a.code == ldap.LDAPResultInappropriateAuthentication:
		// Some servers answer so about accounts that are locked, inactive or without a password. It must look like any
		// refusal, and count as one.
	default:
		return err
	}
	return fmt.Errorf("%w: %w", users.ErrRefused, a)
}

var (
	errNone    = errors.New("no such entry")
	errSeveral = errors.New("more than one entry")
)

// search finds the one entry that a filter fits. It follows no referrals and no aliases: they lead elsewhere. It asks
// for two entries, so that it can see that there is more than one. It reads an answer to its end, however many entries
// come: what was left of it would come before the answer to the next request.
func (s *session) search(base string, scope int, filter string, attributes []string) (*ldap.Entry, error) {
	s.messages.want(searchEntry, searchDone, searchReference)
	request := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 2, 0, false, filter, attributes, nil)
	result, err := s.conn.Search(request)
	switch {
	case result != nil && len(result.Entries) > 1:
		return nil, errSeveral
	case err != nil:
		return nil, s.reason(err)
	case len(result.Entries) == 0:
		return nil, errNone
	case result.Entries[0].DN == "":
		return nil, errMalformed
	}
	return result.Entries[0], nil
}

// startTLS asks for TLS (RFC 4511 section 4.14.1), and returns when the server is about to begin. Nothing is read
// ahead: what somebody on the way has put behind the answer becomes a part of TLS, which it breaks.
func startTLS(conn net.Conn) error {
	const name = "1.3.6.1.4.1.1466.20037"
	request := append([]byte{0x30, byte(7 + len(name)), 0x02, 0x01, 1, 0x77, byte(2 + len(name)), 0x80, byte(len(name))},
		name...)
	if _, err := conn.Write(request); err != nil {
		return err
	}
	m := newMessages(conn)
	m.want(extendedResponse)
	text, err := m.next()
	if err != nil {
		return err
	}
	packet, err := ber.DecodePacketErr(text)
	if err != nil {
		return errMalformed
	}
	if err := ldap.GetLDAPError(packet); err != nil {
		if e, is := errors.AsType[*ldap.Error](err); is && e.ResultCode < ldap.ErrorNetwork {
			return fmt.Errorf("StartTLS: %w", &answer{code: e.ResultCode})
		}
		return errMalformed
	}
	return nil
}
