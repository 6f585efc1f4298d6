package jose

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// A MAC key that a person has made up can be guessed, however long it is (RFC 8725 section 3.5). No test shows that a
// text is random. But a text that consists of only a few pieces is not random. A piece is a single byte, a copy of an
// earlier part, a stretch of the alphabet or of a keyboard row, or a word that is common in passwords. The bounds are
// far below what generators make: among three million texts of 32 random hexadecimal digits, none had fewer than 22
// pieces.
const (
	plainPieces    = 14   // a text of fewer pieces is not random
	doubtfulPieces = 20   // a text of fewer pieces may not be random
	plainBits      = 64   // a text of fewer bits, see differentBits, is not random
	doubtfulBits   = 100  // a text of fewer bits may not be random
	leastPiece     = 4    // bytes; shorter copies and stretches occur by chance
	maxJudged      = 1024 // bytes; of a longer text only the beginning and the end are judged
)

// Words that are common in passwords, in lower case, and rows of keyboards. The words are long enough that random text
// hardly ever contains one.
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

// wellKnown has the words, and the rows from each key on in both directions, by their first byte.
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

// checkRandom refuses a secret that is plainly not random, or is an encoding of such a text. The error does not
// describe the secret.
func checkRandom(secret []byte) error {
	few := differentBits(secret) < plainBits
	for _, form := range append(decodings(visible(secret)), secret) {
		few = few || hasFewPieces(form)
	}
	if !few {
		return nil
	}
	return fmt.Errorf("%w: the secret is not random: it repeats itself, or is made of words and rows of keys, so it is "+
		"easily guessed (RFC 8725 section 3.5); make one with \"openssl rand -hex 32\"", ErrWeakKey)
}

// hasFewPieces reports whether a text has so few pieces that it is not random. For a short text the bound is five
// pieces per eight bytes. Otherwise, among the 16 bytes that 32 hexadecimal digits stand for, four bytes that happen to
// be neighbours on a keyboard would make a random secret fail.
func hasFewPieces(text []byte) bool {
	enough := min(plainPieces, len(text)*5/8)
	return len(text) > plainPieces && pieces(sample(text), enough) < enough
}

// doubt says why a secret may not be random. It is empty if the secret looks random.
func doubt(secret []byte) string {
	text := sample(secret)
	for _, word := range passwordWords {
		if bytes.Contains(text, []byte(word)) {
			return "it contains a word that is common in passwords"
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

// sample returns the part of a text that is judged, in lower case.
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

// differentBits is the most information, in bits, that a text of this length can have with this many different bytes.
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

// pieces counts the pieces of a text. It stops when there are enough.
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

// copied is the number of bytes at i that repeat an earlier part of the text.
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

// stretch is the number of bytes at the beginning that count up or down, or are all the same.
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

// known is the number of bytes at the beginning that follow a keyboard row or a word.
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
