package tokentest

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// HostileProof is a proof that no resource server may accept beside a token that is bound to the key of the prover. It
// breaks one rule of RFC 9449 section 4.3.
type HostileProof struct {
	Name  string // what the attacker does
	Proof string // the value of the header field DPoP
	Code  string // the error of the answer: InvalidProof or InvalidToken
}

// OnlyWithToken reports whether the proof breaks a rule about the token alone: it has another key, or an ath of
// something else, or none. Where no token comes with a proof, it may be a good one.
func (p HostileProof) OnlyWithToken() bool {
	switch p.Name {
	case "payload without ath", "ath of another token", "ath of no token", "ath of the field", "ath of the hash",
		"ath of the field with another scheme", "ath of the token and a space", "ath of the token in upper case":
		return true
	case "another key that has not signed":
		return false
	}
	return p.Code == InvalidToken || strings.HasPrefix(p.Name, `payload: " ath":`) ||
		strings.HasPrefix(p.Name, `payload: "ATH":`)
}

// The errors with which a resource server refuses a proof (RFC 9449 section 7.1).
const (
	InvalidProof = "invalid_dpop_proof"
	InvalidToken = "invalid_token" // the proof is good, but its key is not the one of the token
)

// proofAttack collects hostile proofs for one request. What is not under attack is good.
type proofAttack struct {
	*Prover
	tb                 testing.TB
	method, url, token string

	header, payload map[string]string // the members of a good proof, as JSON
	attacks         []HostileProof
}

// ProofAttacks are hostile proofs for a request with a token, which must not be empty. The address is a URL with a host
// in lower case, and neither query nor fragment.
func (p *Prover) ProofAttacks(tb testing.TB, method, address, token string) []HostileProof {
	tb.Helper()
	a := &proofAttack{Prover: p, tb: tb, method: method, url: address, token: token}
	header, payload := p.members(method, address, token)
	a.header, a.payload = memberTexts(header), memberTexts(payload)
	a.forms()
	a.signatures()
	a.headers()
	a.algorithms()
	a.keys()
	a.payloads()
	a.claims()
	a.requests()
	return a.attacks
}

func memberTexts(members map[string]any) map[string]string {
	texts := make(map[string]string, len(members))
	for name, value := range members {
		texts[name] = string(must(json.Marshal(value)))
	}
	return texts
}

func (a *proofAttack) add(name, proof string) {
	a.attacks = append(a.attacks, HostileProof{name, proof, InvalidProof})
}

// signed adds a proof whose signature is good.
func (a *proofAttack) signed(name, header, payload string) {
	a.add(name, a.Key.SignRaw(header, payload))
}

// inHeader adds a proof with a member of the header in the place of the good one, or without it.
func (a *proofAttack) inHeader(replaced, member string) {
	name := "header: " + short(member)
	if member == "" {
		name = "header without " + replaced
	}
	a.signed(name, object(a.header, replaced, member), object(a.payload, ""))
}

// inPayload adds a proof with a member of the payload in the place of the good one, or without it.
func (a *proofAttack) inPayload(replaced, member string) {
	name := "payload: " + short(member)
	if member == "" {
		name = "payload without " + replaced
	}
	a.signed(name, object(a.header, ""), object(a.payload, replaced, member))
}

// object is a JSON object of members, without one of them and with others before them.
func object(members map[string]string, without string, more ...string) string {
	all := slices.DeleteFunc(more, func(member string) bool { return member == "" })
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != without {
			all = append(all, strconv.Quote(name)+":"+members[name])
		}
	}
	return `{` + strings.Join(all, ",") + `}`
}

// forms are values of the field that are not one JWS in compact form (RFC 7515 section 7.1).
func (a *proofAttack) forms() {
	proof, other := a.Proof(a.tb, a.method, a.url, a.token), a.Proof(a.tb, a.method, a.url, a.token)
	parts := strings.Split(proof, ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	signedText := func(header, payload string) string {
		return header + "." + payload + "." + encode(a.Key.SignBytes(header+"."+payload))
	}
	standard := base64.RawStdEncoding.EncodeToString([]byte(object(a.payload, "", `"x":"~~~???"`, `"y":">>>>~~~~???"`)))
	for name, text := range map[string]string{
		"two proofs": proof + "," + other, "two proofs and a space": proof + ", " + other,
		"a proof twice": proof + ", " + proof, "two proofs without a comma": proof + " " + other,
		"an empty proof after it": proof + ",", "one before it": "," + proof, "a parameter": proof + ";x=1",
		"its scheme": "DPoP " + proof, "its name": "DPoP: " + proof, "quotes": `"` + proof + `"`,
		"angle brackets": "<" + proof + ">", "escaped dots": strings.ReplaceAll(proof, ".", "%2E"), "rubbish": "x",
		"the proof in base64url": encode([]byte(proof)), "dots": "..", "many dots": strings.Repeat(".", 1000),
		"an empty object": "e30", "no dot": header + payload + signature, "one part": header,
		"two parts": header + "." + payload, "four parts": proof + "." + signature,
		"five parts": proof + "." + payload + "." + signature, "a dot after it": proof + ".",
		"a dot before it": "." + proof, "no header": signedText("", payload), "no payload": signedText(header, ""),
		"no signature": header + "." + payload + ".", "header and payload swapped": signedText(payload, header),
		"a space inside": signedText(header+" ", payload), "a tab inside": header + "." + payload + ".\t" + signature,
		"padding after the header":  signedText(header+"=", payload),
		"padding after the payload": signedText(header, payload+"=="), "padding after the signature": proof + "=",
		"a header not in base64url":    signedText("{}", payload),
		"a payload not in base64url":   signedText(header, object(a.payload, "")),
		"a payload in standard base64": signedText(header, standard), "the token": a.token, "both": proof + "," + a.token,
		"flattened JSON": `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`,
		"general JSON": `{"payload":"` + payload + `","signatures":[{"protected":"` + header + `","signature":"` +
			signature + `"}]}`,
	} {
		a.add("form: "+name, text)
	}
}

// payloads are not one strict JSON object.
func (a *proofAttack) payloads() {
	header, good := object(a.header, ""), object(a.payload, "")
	for name, payload := range map[string]string{
		"an array": `[` + good + `]`, "null": `null`, "a number": `1`, "true": `true`, "nothing": ``, "white space": ` `,
		"a string": strconv.Quote(good), "an empty object": `{}`, "the proof of another": a.Proof(a.tb, a.method, a.url, ""),
		"the token": a.token, "two objects": good + good, "an empty object after it": good + `{}`,
		"text after it": good + `x`, "a NUL after it": good + "\x00", "a byte order mark": "\ufeff" + good,
		"UTF-16":     string(utf16LE(good)),
		"not closed": strings.TrimSuffix(good, "}"), "a comma too many": strings.TrimSuffix(good, "}") + `,}`,
		"3000 opening brackets": strings.Repeat("[", 3000),
	} {
		a.signed("payload: "+name, header, payload)
	}
	for name, member := range notJSON {
		a.signed("payload: "+name, header, object(a.payload, "", member))
	}
	for _, name := range slices.Sorted(maps.Keys(a.payload)) {
		value := a.payload[name]
		a.signed("payload: "+name+" twice", header, object(a.payload, "", strconv.Quote(name)+":"+value))
		a.signed("payload: "+name+" twice, once by an escape", header, object(a.payload, "", escaped(name)+":"+value))
		a.signed("payload: "+name+" twice, the first is null", header, object(a.payload, "", strconv.Quote(name)+":null"))
		a.inPayload(name, strconv.Quote(strings.ToUpper(name))+":"+value) // names are case-sensitive
		a.inPayload(name, strconv.Quote(" "+name)+":"+value)
	}
}

// escaped is a name as a JSON string whose first letter is written with an escape.
func escaped(name string) string { return fmt.Sprintf(`"\u%04x%s"`, name[0], name[1:]) }

// claims are those of RFC 9449 section 4.2, missing or of the wrong type, or out of bounds.
func (a *proofAttack) claims() {
	for _, name := range slices.Sorted(maps.Keys(a.payload)) {
		a.inPayload(name, "")
		for _, value := range []string{
			`null`, `true`, `""`, `[]`, `{}`, `["a"]`, `[` + a.payload[name] + `]`, `{"a":` + a.payload[name] + `}`,
		} {
			a.inPayload(name, strconv.Quote(name)+":"+value)
		}
		if name != "iat" {
			a.inPayload(name, strconv.Quote(name)+":1")
		}
	}
	a.inPayload("jti", `"jti":"`+strings.Repeat("j", 5000)+`"`)
	a.inPayload("jti", `"jti":"a\u0000b"`)
	a.inPayload("jti", `"jti":"a\r\nb"`)
	now := a.now().Unix()
	for _, iat := range []string{
		"0", "-1", "1", "-0", "1e400", "1e18", "1e-300", "253402300800", fmt.Sprintf(`"%d"`, now), fmt.Sprintf("-%d", now),
		fmt.Sprint(now - 86_400), fmt.Sprint(now + 86_400), fmt.Sprint(now * 1_000), fmt.Sprint(now * 1_000_000),
		fmt.Sprintf("%d.5", now-86_400), fmt.Sprintf("%de3", now),
		strconv.Quote(a.now().UTC().Format("2006-01-02T15:04:05Z")),
	} {
		a.inPayload("iat", `"iat":`+iat)
	}
	a.inPayload("", fmt.Sprintf(`"exp":%d`, now-86_400))
	a.inPayload("", fmt.Sprintf(`"nbf":%d`, now+86_400))
	for _, more := range []string{`"exp":"1"`, `"exp":null`, `"exp":[]`, `"nbf":"1"`, `"nbf":null`} {
		a.inPayload("", more)
	}
	for _, nonce := range []string{`1`, `null`, `""`, `[]`, `["a"]`, `{}`, `"a b"`, `"a\"b"`, `"a\\b"`, `"a\tb"`, `"é"`} {
		a.inPayload("", `"nonce":`+nonce) // RFC 9449 section 8.1: only NQCHAR
	}
}

// requests are proofs for another request or another token.
func (a *proofAttack) requests() {
	for _, htm := range []string{
		strings.ToLower(a.method), " " + a.method, a.method + " ", a.method + ",HEAD", a.method + "X", a.method[1:], "*",
		"TRACE", a.method + "\x00", "HEAD",
	} {
		if htm != a.method {
			a.inPayload("htm", `"htm":`+string(must(json.Marshal(htm))))
		}
	}
	for _, htu := range a.otherAddresses() {
		if htu != a.url {
			text := string(must(json.Marshal(htu)))
			a.signed("payload: htu "+text, object(a.header, ""), object(a.payload, "htu", `"htu":`+text))
		}
	}
	sum1, sum512, good := sha1.Sum([]byte(a.token)), sha512.Sum512([]byte(a.token)), encodedHash(a.token)
	sum := must(base64.RawURLEncoding.DecodeString(good))
	for name, ath := range map[string]string{
		"another token": encodedHash(a.token + "x"), "no token": encodedHash(""), "the hash": encodedHash(good),
		"the token and a space": encodedHash(a.token + " "), "the field": encodedHash("DPoP " + a.token),
		"the field with another scheme": encodedHash("Bearer " + a.token), "the token in SHA-1": encode(sum1[:]),
		"the token in SHA-512": encode(sum512[:]), "the token's half": encode(sum[:16]), "in hex": hex.EncodeToString(sum),
		"the token with padding": good + "=", "the token and an A": good + "A", "the token but for its end": good[:42],
		"the token but for its start": good[1:], "the token in upper case": strings.ToUpper(good), "a blank": good + " ",
		"the token itself": a.token,
	} {
		if ath != good {
			a.signed("ath of "+name, object(a.header, ""), object(a.payload, "ath", `"ath":`+string(must(json.Marshal(ath)))))
		}
	}
}

// otherAddresses are values of htu that are no address, or that of something else (RFC 9449 section 4.3, RFC 3986
// section 6.2).
func (a *proofAttack) otherAddresses() []string {
	u, err := url.Parse(a.url)
	if err != nil || u.Host == "" {
		a.tb.Fatalf("tokentest: not the address of a request: %q", a.url)
	}
	scheme, host, path := u.Scheme+"://", u.Host, cmp.Or(u.EscapedPath(), "/")
	otherScheme := map[string]string{"http": "https://", "https": "http://"}[u.Scheme]
	all := []string{
		path, strings.TrimPrefix(path, "/"), "//" + host + path, host + path, ":" + path, "/", "*", "?", "#",
		otherScheme + host + path, "ws" + scheme + host + path, "ftp://" + host + path, u.Scheme + ":" + host + path,
		u.Scheme + ":/" + host + path, u.Scheme + ":///" + host + path, scheme + path, scheme + ":443" + path,
		scheme + "other.example" + path, scheme + host + ".evil.example" + path, scheme + "evil.example/" + host + path,
		scheme + "x." + host + path, scheme + u.Hostname() + ":1" + path, scheme + u.Hostname() + ":99999" + path,
		scheme + u.Hostname() + ":x" + path, scheme + host + "@evil.example" + path, scheme + "evil.example@" + host + path,
		scheme + "user:password@" + host + path, scheme + "@" + host + path, scheme + host + `\` + path,
		scheme + "ex\u0430mple.com" + path, scheme + "[::1" + path, scheme + "%" + path, scheme + host + "%00" + path,
		scheme + host + path + "x", scheme + host + path + "/", scheme + host + "/" + path, scheme + host + path + "/x",
		scheme + host + "/x" + path, scheme + host + path + "%", scheme + host + path + "%zz", scheme + host + path + "%00",
		scheme + host + path + "%2F", scheme + host + path + "%3F", scheme + host + path + " ", " " + scheme + host + path,
		scheme + host + path + "\x00", scheme + host + path + "\r\n", scheme + host + path + "\u00e9",
		scheme + host + path + `\..`, scheme + host + path + ";x", scheme + host + path + ",", scheme + host + path + "<",
		scheme + host + path + ", " + a.url, "<" + a.url + ">", strconv.Quote(a.url), "url=" + a.url, "javascript:" + a.url,
		"urn:" + a.url, "data:," + a.url,
	}
	for _, other := range []string{
		strings.ToUpper(path), strings.ToLower(path), path[:len(path)-1], strings.ReplaceAll(path, "/", "%2F"),
	} {
		if other != path && other != "" {
			all = append(all, scheme+host+other)
		}
	}
	return all
}
