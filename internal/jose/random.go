package jose

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// A key of a MAC that a person has thought up is guessed, however long it is (RFC 8725 section 3.5). Nothing tells what
// is random; but a text that takes only a few pieces to write down is not. A piece is a single byte, a copy of what
// came before, a stretch of the alphabet or of a keyboard, or a word that many passwords have. The bounds are far from
// what generators make: of three million times 32 hexadecimal digits, none took fewer than 22 pieces.
const (
	plainPieces    = 14   // a text of fewer is not random
	doubtfulPieces = 20   // a text of fewer may not be
	plainBits      = 64   // a text whose different bytes can say less at most is not random
	doubtfulBits   = 100  // a text whose different bytes can say less at most may not be
	leastPiece     = 4    // shorter copies and stretches come about by themselves
	maxJudged      = 1024 // of a longer text the beginning and the end
)

// Words that many passwords have, in lower case, and rows of keyboards. All words are so long that random text hardly
// ever contains one.
var (
	passwordWords = []string{
		"password", "passwort", "passphrase", "secret", "geheim", "changeme", "change-me", "change_me", "example", "default",
		"letmein", "welcome", "insecure", "iloveyou", "development", "production", "testing",
	}
	keyboardRows = []string{
		"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
		"!@#$%^&*()", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
	}
)

// wellKnown are the words, and the rows from each key on in both directions, by their first byte.
var wellKnown = func() (known [256][]string) {
	add := func(text string) { known[text[0]] = append(known[text[0]], text) }
	for _, word := range passwordWords {
		add(word)
	}
	for _, row := range keyboardRows {
		backwards := []byte(row)
		slices.Reverse(backwards)
		for i := range row {
			add(row[i:])
			add(string(backwards[i:]))
		}
	}
	return known
}()

// checkRandom refuses what is plainly not random, and what is an encoding of that. Its error does not say what the
// secret looks like.
func checkRandom(secret []byte) error {
	few := differentBits(secret) < plainBits
	for _, form := range append(decodings(visible(secret)), secret) {
		few = few || takesFew(form)
	}
	if !few {
		return nil
	}
	return fmt.Errorf("%w: the secret is not random: it repeats itself, or is made of words and rows of keys, so it is "+
		"easily guessed (RFC 8725 section 3.5); make one with \"openssl rand -hex 32\"", ErrWeakKey)
}

// takesFew reports whether a text takes so few pieces to write down that it is not random. Of a short one, three
// eighths must be saved: what 32 hexadecimal digits stand for is 16 bytes, and four of them are in a row of keys now
// and then.
func takesFew(text []byte) bool {
	enough := min(plainPieces, len(text)*5/8)
	return len(text) > plainPieces && pieces(sample(text), enough) < enough
}

// doubt says why a secret may not be random, empty if nothing speaks for that.
func doubt(secret []byte) string {
	text := sample(secret)
	for _, word := range passwordWords {
		if bytes.Contains(text, []byte(word)) {
			return "it has a word in it that many passwords have"
		}
	}
	switch {
	case pieces(text, doubtfulPieces) < doubtfulPieces:
		return "it repeats itself"
	case differentBits(secret) < doubtfulBits:
		return "it has few different characters"
	}
	return ""
}

// sample is the part of a text that is judged, without regard to case.
func sample(text []byte) []byte {
	if len(text) > maxJudged {
		text = append(bytes.Clone(text[:maxJudged/2]), text[len(text)-maxJudged/2:]...)
	}
	lower := bytes.Clone(text)
	for i, b := range lower {
		if 'A' <= b && b <= 'Z' {
			lower[i] = b | 0x20
		}
	}
	return lower
}

// differentBits is how much a text of that length can say with the different bytes that it has.
func differentBits(text []byte) float64 {
	var seen [256]bool
	different := 0
	for _, b := range text {
		if !seen[b] {
			seen[b] = true
			different++
		}
	}
	return float64(len(text)) * math.Log2(float64(max(different, 1)))
}

// pieces is how many pieces a text takes to write down. Counting ends when there are enough.
func pieces(text []byte, enough int) (n int) {
	for i := 0; i < len(text) && n < enough; n++ {
		length := max(copied(text, i), stretch(text[i:]), known(text[i:]))
		if length < leastPiece {
			length = 1
		}
		i += length
	}
	return n
}

// copied is for how long the text goes on at i as it did somewhere before.
func copied(text []byte, i int) (longest int) {
	for from := range i {
		n := 0
		for i+n < len(text) && text[from+n] == text[i+n] {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

// stretch is for how long the text counts up or down, or stays the same.
func stretch(text []byte) int {
	if len(text) < 2 {
		return 1
	}
	step, n := text[1]-text[0], 1
	if step != 0 && step != 1 && step != 0xFF {
		return 1
	}
	for n < len(text) && text[n]-text[n-1] == step {
		n++
	}
	return n
}

// known is for how long the text goes along a row of keys or a word.
func known(text []byte) (longest int) {
	for _, candidate := range wellKnown[text[0]] {
		n := 0
		for n < len(text) && n < len(candidate) && text[n] == candidate[n] {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}
