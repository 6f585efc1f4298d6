package roster

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/setting"
)

// value is a value of a file, in JSON or YAML. Errors are predicates of a sentence whose subject is the value.
type value interface {
	text() (string, error)
	flag() (bool, error)
	list(each func(i int, v value) error) error
	object(each func(name string, v value) error) error
}

// decode reads a consumer. Names count exactly as they are written, and each only once: what two readers could
// understand in two ways is refused.
func decode(v value) (record, error) {
	var r record
	var seen [8]string
	err := v.object(once(seen[:0], func(name string, v value) error { return r.member(name, v) }))
	return r, err
}

// once refuses a member that comes for the second time, and adds to errors which member they are about.
func once(seen []string, each func(name string, v value) error) func(string, value) error {
	return func(name string, v value) error {
		if slices.Contains(seen, name) {
			return setting.Errorf(name, "%s is there twice", name) // a known name, or it would have failed the first time
		}
		seen = append(seen, name)
		return setting.In(name, each(name, v))
	}
}

func (r *record) member(name string, v value) (err error) {
	switch name {
	case "username":
		r.username, err = v.text()
	case "id":
		r.id, err = v.text()
	case "custom_id":
		r.customID, err = v.text()
	case "groups":
		err = v.list(r.group)
	case "tolerate":
		err = v.list(r.tolerated)
	case "credentials":
		err = v.list(r.credential)
	default:
		return unknown(name, "consumer", consumerMembers)
	}
	return named(name, err)
}

func (r *record) group(i int, v value) error {
	group, err := v.text()
	if err != nil {
		return setting.In(fmt.Sprintf("[%d]", i), named("group", err))
	}
	r.groups = append(r.groups, group)
	return nil
}

func (r *record) tolerated(i int, v value) error {
	what, err := v.text()
	if err != nil {
		return setting.In(fmt.Sprintf("[%d]", i), named("a word of tolerate", err))
	}
	r.tolerate = append(r.tolerate, what)
	return nil
}

func (r *record) credential(i int, v value) error {
	r.credentials = append(r.credentials, credential{})
	c := &r.credentials[i]
	var seen [8]string
	err := v.object(once(seen[:0], func(name string, v value) error { return c.member(name, v) }))
	if err != nil {
		err = setting.In(fmt.Sprintf("[%d]", i), named("credential", err))
	}
	return err
}

func (c *credential) member(name string, v value) (err error) {
	switch name {
	case "key":
		c.key, err = v.text()
	case "algorithm":
		c.Algorithm, err = v.text()
	case "public_key":
		c.PublicKey, err = v.text()
	case "secret":
		c.Secret, err = v.text()
	case "base64":
		c.Base64, err = v.flag()
	case "expires":
		c.expires, err = v.text()
	default:
		return unknown(name, "credential", credentialMembers)
	}
	return named(name, err)
}

// predicate is an error that needs a subject.
type predicate string

func (p predicate) Error() string { return string(p) }

// named gives a predicate its subject. The result is a whole sentence, and no predicate any more.
func named(name string, err error) error {
	if p, ok := errors.AsType[predicate](err); ok {
		return errors.New(name + " " + string(p))
	}
	return err
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// others are names that other products have for these members.
var others = map[string]string{
	"name": "username", "customId": "custom_id", "group": "groups", "acls": "groups", "jwt_secrets": "credentials",
	"credential": "credentials", "jwt": "credentials", "rsa_public_key": "public_key", "alg": "algorithm",
	"secret_is_base64": "base64",
}

// unknown is the error about a member that nothing reads. A name that does not look like one is not quoted: it may be a
// secret.
func unknown(name, in string, known []string) error {
	if !plainName.MatchString(name) {
		return setting.Errorf("", "a %s has no such member; it has %s", in, strings.Join(known, ", "))
	}
	text := fmt.Sprintf("a %s has no member %q", in, name)
	if here := others[name]; slices.Contains(known, here) {
		text += fmt.Sprintf("; here it is %q, and the table in docs/from-kong.md says what differs", here)
	} else {
		text += "; it has " + strings.Join(known, ", ")
	}
	return setting.Errorf("", "%s", text)
}

// The members that there are.
var (
	consumerMembers   = []string{"username", "id", "custom_id", "groups", "tolerate", "credentials"}
	credentialMembers = []string{"key", "algorithm", "public_key", "secret", "base64", "expires"}
)

// fields are the members by the names that package gate has for them.
var fields = map[string]string{
	"Username": "username", "ID": "id", "CustomID": "custom_id", "Groups": "groups", "Tolerate": "tolerate",
	"Credentials": "credentials", "Key": "key", "Algorithm": "algorithm", "Verifier": "algorithm",
	"PublicKey": "public_key", "Secret": "secret", "Base64": "base64", "Expires": "expires",
}

// steps are the members and indices on the way to a field.
func steps(field string) []string {
	all := strings.FieldsFunc(field, func(c rune) bool { return c == '.' || c == '[' || c == ']' })
	for i, step := range all {
		if name, ok := fields[step]; ok {
			all[i] = name
		}
	}
	return all
}
