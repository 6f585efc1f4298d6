package bearer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// What Extract returns when it finds no credential.
var (
	// ErrMissing: the request carries no token in any configured place. Answer 401 with a challenge that has no error code
	// (RFC 6750 section 3.1).
	ErrMissing = errors.New("no access token in the request")

	// ErrMalformed: the request carries something other than exactly one well-formed token. Answer 400 with the error code
	// invalid_request.
	ErrMalformed = errors.New("not exactly one well-formed access token")

	// ErrTooLong is the ErrMalformed of a token over Options.MaxToken.
	ErrTooLong = fmt.Errorf("%w: token too long", ErrMalformed)

	// ErrBodyTooLarge: the body is over Options.MaxForm, or over a limit set by an earlier handler. Answer 413.
	ErrBodyTooLarge = errors.New("body too large to look into")

	// ErrOverloaded: the bodies of all clients together take too much memory, and this one is large. Answer 503.
	ErrOverloaded = errors.New("no memory left for a body of this size: other bodies hold it")

	// ErrBodyRead: the body could not be read to its end, because the client sent less than it announced, went away, or
	// took too long. Answer 400.
	ErrBodyRead = errors.New("body could not be read")
)

// The ways to be malformed. They are made once, so that a flood of them allocates nothing.
var (
	errTwoValues = fmt.Errorf("%w: more than one value in one place", ErrMalformed)
	errTwoFields = fmt.Errorf("%w: header field sent more than once", ErrMalformed)
	errSpelling  = fmt.Errorf("%w: header field with another spelling of its name", ErrMalformed)
	errTrailer   = fmt.Errorf("%w: credentials announced in the trailers", ErrMalformed)
	errList      = fmt.Errorf("%w: several credentials in one header field", ErrMalformed)
	errSeparator = fmt.Errorf("%w: scheme and token not separated by a space", ErrMalformed)
	errEmpty     = fmt.Errorf("%w: empty token", ErrMalformed)
	errAlphabet  = fmt.Errorf("%w: character outside the b64token alphabet", ErrMalformed)
	errEscape    = fmt.Errorf("%w: invalid percent-encoding", ErrMalformed)
	errAmbiguous = fmt.Errorf("%w: parameter or cookie that servers read in different ways, perhaps for a name like ours",
		ErrMalformed)
)

// Defaults of Options.
const (
	// DefaultMaxToken is as long as the whole header section that Caddy accepts by default. The longest common signature
	// (ML-DSA-87) needs 6,170 characters.
	DefaultMaxToken = 16 << 10

	// DefaultMaxForm bounds the form of one request.
	DefaultMaxForm = 1 << 20
)

// Options say where to look for tokens, and how far.
type Options struct {
	// Places are where to look. Empty means DefaultPlace alone. A token anywhere else is neither used nor removed.
	Places []Place

	// DPoP adds the header Authorization with the scheme DPoP as the last place.
	DPoP bool

	// MaxToken is the greatest length of a token in bytes. Zero means DefaultMaxToken.
	MaxToken int

	// MaxForm is the greatest size in bytes of a form body that is read to look for a token. Zero means DefaultMaxForm.
	MaxForm int64

	// Forms bounds the memory of all forms together. Nil means the bound that the extractors of this process share, of
	// DefaultFormMemory bytes.
	Forms *FormMemory
}

// Credential is the one access token of a request.
type Credential struct {
	// Token is never empty and has only the characters of a b64token.
	Token string `json:"-"`

	// Place is where the token was: an index into Options.Places.
	Place int

	// Kind is the kind of that place. Unless it is Header, the answer needs Cache-Control: private (RFC 6750 section 2.3).
	Kind Kind
}

// Format keeps the token out of anything printed, whatever the verb.
func (c Credential) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "bearer credential from "+c.Kind.String())
}

// Exposed is a token for handlers behind the gate. Like a Credential, it keeps the token out of anything printed.
type Exposed struct{ token string }

// Expose keeps a token for later handlers.
func Expose(token string) Exposed { return Exposed{token} }

// Reveal returns the token; empty for the zero value.
func (e Exposed) Reveal() string { return e.token }

// Format keeps the token out of anything printed, whatever the verb.
func (Exposed) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "exposed token") }

// Extractor finds and removes tokens. It is immutable and safe for concurrent use.
type Extractor struct {
	places   []Place
	maxToken int
	maxForm  int64
	forms    *FormMemory

	// names of the parameters and cookies, for removal
	query, cookies, form []string

	protocols Subprotocols

	// names of the header places that have more than one spelling
	spelt []string

	// Errors that name a setting. They are made once, as those above.
	tooLong   error
	second    []error // by place: it has a token, and so has an earlier place
	formLimit error
}

// NewExtractor makes an extractor. The error names the place that is wrong.
func NewExtractor(o Options) (*Extractor, error) {
	if o.MaxToken < 0 || o.MaxForm < 0 {
		return nil, errors.New("a limit must not be negative")
	}
	e := &Extractor{maxToken: o.MaxToken, maxForm: o.MaxForm, forms: o.Forms}
	if e.forms == nil {
		e.forms = allForms
	}
	if e.maxToken == 0 {
		e.maxToken = DefaultMaxToken
	}
	if e.maxForm == 0 {
		e.maxForm = DefaultMaxForm
	}
	e.tooLong = fmt.Errorf("%w, of more than %d bytes", ErrTooLong, e.maxToken)
	e.formLimit = overLimit(e.maxForm)
	if len(o.Places) == 0 {
		o.Places = []Place{DefaultPlace}
	}
	for _, p := range o.Places {
		if err := e.add(p); err != nil {
			return nil, fmt.Errorf("token place %s: %w", p, err)
		}
	}
	if !o.DPoP {
		return e, nil
	}
	if err := e.addPlace(dpopPlace); err != nil {
		return nil, fmt.Errorf("token place %s, which proofs of DPoP need: %w", dpopPlace, err)
	}
	return e, nil
}

func (e *Extractor) add(p Place) error {
	p, err := p.normalize()
	if err != nil {
		return err
	}
	return e.addPlace(p)
}

// addPlace adds a normalised place.
func (e *Extractor) addPlace(p Place) error {
	for _, q := range e.places {
		if text := p.conflict(q); text != "" {
			return errors.New(text)
		}
	}
	e.places = append(e.places, p)
	e.second = append(e.second, fmt.Errorf("%w: tokens in more than one place, one of them in %v", ErrMalformed, p))
	//exhaustive:enforce
	switch p.Kind {
	case Header:
		if strings.ContainsFunc(p.Name, func(c rune) bool { return !isAlphanumeric(byte(c)) }) {
			e.spelt = append(e.spelt, p.Name)
		}
	case Query:
		e.query = append(e.query, p.Name)
	case Cookie:
		e.cookies = append(e.cookies, p.Name)
	case Form:
		e.form = append(e.form, p.Name)
	case Subprotocol:
		if e.protocols == nil {
			e.spelt = append(e.spelt, protocolField)
		}
		e.protocols = append(e.protocols, p.Name)
	}
	return nil
}

// Places returns the places in effect, with header names in canonical form. A Credential's Place is an index into them.
func (e *Extractor) Places() []Place { return slices.Clone(e.places) }

// Extract finds the one token of the request.
//
// It looks at every configured place. All places together must hold exactly one token. A second one is ErrMalformed,
// even if it is the same (RFC 6750 section 2). So is an empty one: a client that fills in a place for a token claims to
// have one. An empty cookie does not count, because browsers send cookies by themselves, and servers delete a cookie by
// emptying it. Authorization with another scheme, such as Basic, does not count either.
//
// If there is a form place and the request has a form body (see ReadsBody), Extract reads the body to its end and puts
// it back into r.Body as it was. It reads nothing of the body when the rest of the request is already malformed, or
// when the announced length is over the limit. The memory of a form counts until somebody has read the body, or until
// the context of the request ends.
//
// The error is ErrMissing or ErrOverloaded, or it wraps ErrMalformed, ErrBodyTooLarge or ErrBodyRead. It never contains
// a part of a token.
func (e *Extractor) Extract(r *http.Request) (Credential, error) {
	if e.respelt(r.Header) || e.respelt(r.Trailer) {
		return Credential{}, errSpelling
	}
	var found Credential
	for i := range e.places {
		value, err := e.places[i].find(r)
		if err == nil {
			err = e.take(&found, i, value)
		}
		if err != nil {
			return Credential{}, err
		}
	}
	if len(e.form) > 0 { // last, and only if all else is in order
		if err := e.extractForm(r, &found); err != nil {
			return Credential{}, err
		}
	}
	if found.Token == "" {
		return Credential{}, ErrMissing
	}
	return found, nil
}

// presented is what a place holds, unchecked.
type presented struct {
	text    string
	encoded bool // form-urlencoded, to be decoded once
	ok      bool // false: the place holds nothing
}

// find looks into the place, unless it is the body.
func (p *Place) find(r *http.Request) (presented, error) {
	//exhaustive:enforce
	switch p.Kind {
	case Header:
		return p.findHeader(r)
	case Query:
		return findParam(r.URL.RawQuery, p.Name)
	case Cookie:
		return findCookie(r.Header["Cookie"], p.Name)
	case Subprotocol:
		return findSubprotocol(r, p.Name)
	case Form:
	}
	return presented{}, nil
}

// take checks what place i holds, and makes it the credential if it is the first.
func (e *Extractor) take(found *Credential, i int, value presented) error {
	if !value.ok {
		return nil
	}
	if found.Token != "" {
		return e.second[i]
	}
	token := value.text
	if value.encoded {
		// An escaped character takes at most three bytes, so this bounds the length before anything is decoded.
		if len(token)/3 > e.maxToken {
			return e.tooLong
		}
		var err error
		if token, err = unescape(token); err != nil {
			return err
		}
	}
	if len(token) > e.maxToken {
		return e.tooLong
	}
	if err := checkToken(token); err != nil {
		return err
	}
	*found = Credential{Token: token, Place: i, Kind: e.places[i].Kind}
	return nil
}

// checkToken is the b64token rule of RFC 6750 section 2.1: at least one of the letters, digits and -._~+/ and then
// padding.
func checkToken(token string) error {
	body := strings.TrimRight(token, "=")
	if token == "" {
		return errEmpty
	}
	if body == "" {
		return errAlphabet
	}
	// Eight bytes at a time, and without a branch for each: for a remembered token, this loop takes longer than any other
	// part of the gate.
	var foreign byte
	for ; len(body) >= 8; body = body[8:] {
		foreign |= foreignBytes[body[0]] | foreignBytes[body[1]] | foreignBytes[body[2]] | foreignBytes[body[3]] |
			foreignBytes[body[4]] | foreignBytes[body[5]] | foreignBytes[body[6]] | foreignBytes[body[7]]
	}
	for i := range len(body) {
		foreign |= foreignBytes[body[i]]
	}
	if foreign != 0 {
		return errAlphabet
	}
	return nil
}

// foreignBytes has a 1 for every byte that is not in the b64token alphabet without the padding.
var foreignBytes = func() (set [256]byte) {
	for c := range set {
		if !isAlphanumeric(byte(c)) && strings.IndexByte("-._~+/", byte(c)) < 0 {
			set[c] = 1
		}
	}
	return set
}()
