package gate

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// fingerprint identifies everything that decides whether a token is cached as good, and as whom: two gates with the
// same fingerprint may share entries, all others cannot reach them. Time, audience, leeway and requirements are not in
// it, because they are judged on every request. Whether more is asked of a token because its audience may be any is in
// it.
func fingerprint(p *parties) [32]byte {
	w := settings{sha256.New()}
	w.text(p.keyClaim)
	w.number(len(p.all))
	for _, member := range p.all {
		w.number(int(member.algorithms))
		w.text(member.name)
		if member.credential != nil {
			w.credential(member)
		} else {
			w.issuer(member)
		}
	}
	return [32]byte(w.Sum(nil))
}

// settings writes values so that no two sequences of them look alike: every text has its length before it.
type settings struct{ hash.Hash }

func (w settings) number(n int) { w.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) } //nolint:gosec // a count

func (w settings) text(s string) {
	w.number(len(s))
	w.Write([]byte(s))
}

func (w settings) texts(list []string) {
	w.number(len(list))
	for _, s := range list {
		w.text(s)
	}
}

func (w settings) flag(b bool) {
	if b {
		w.number(1)
	} else {
		w.number(0)
	}
}

func (w settings) issuer(p *party) {
	i := p.issuer
	w.text("issuer")
	w.Write(i.KeysID[:])
	w.texts(i.Types)
	w.flag(i.AccessTokenProfile)
	w.flag(p.untold.JWTs)
	w.number(len(i.Require))
	for _, path := range i.Require {
		w.text(path.String())
	}
}

func (w settings) credential(p *party) {
	w.text("credential")
	thumbprint := p.credential.Verifier.Thumbprint()
	w.Write(thumbprint[:])
	w.text(p.consumer.Username)
	w.text(p.consumer.ID)
	w.text(p.consumer.CustomID)
	w.texts(p.consumer.Groups)
}
