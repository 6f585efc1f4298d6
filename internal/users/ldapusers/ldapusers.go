// Package ldapusers has directories of users on an LDAP server (RFC 4511). The server judges the passwords: a user may
// sign in who can bind with the password. There are two of them. ByDN makes the name of the entry from the name of the
// user. Searched finds the entry with an account of its own.
//
// LDAP compares most names without case, and some without spaces and accents (RFC 4518). So a user's name is always the
// server's spelling, whatever the client has sent: nobody gets two identities.
//
// An unknown user costs as many messages as a wrong password does. The time between them is up to the server.
//
// What the server sends is bounded, and checked before the library decodes it. A server that is slow, away or broken
// costs a bounded time, and lets nobody in.
package ldapusers
