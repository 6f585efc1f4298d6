package jose

// invalid marks the bytes outside the alphabet of RFC 4648 section 5. Its top bit survives or-ing with any sextet.
const invalid = 0xFF

var sextets = func() (table [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range table {
		table[i] = invalid
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i)
	}
	return table
}()

// quads has the sextets shifted to each of the four places in three bytes. A bit above them marks what is invalid, so
// four characters cost four look-ups and one test.
var quads = func() (table [4][256]uint32) {
	for place := range table {
		for c, sextet := range sextets {
			if sextet == invalid {
				table[place][c] = 1 << 24
			} else {
				table[place][c] = uint32(sextet) << (18 - 6*place)
			}
		}
	}
	return table
}()

// decodedLen is how many bytes n characters of valid, unpadded base64url stand for.
func decodedLen(n int) int { return n/4*3 + n%4*6/8 }

// decode decodes text into dst, which must have room for decodedLen(len(text)) bytes, and returns how many it wrote.
//
// Exactly one text decodes to given bytes (RFC 7515 section 2): padding, white space, other alphabets and non-zero bits
// after the last byte are refused. encoding/base64 would skip CR and LF even in its strict mode, so it would need a
// second pass over the text.
func decode(dst []byte, text string) (n int, ok bool) {
	var wrong uint32
	for len(text) >= 8 {
		x := quads[0][text[0]] | quads[1][text[1]] | quads[2][text[2]] | quads[3][text[3]]
		y := quads[0][text[4]] | quads[1][text[5]] | quads[2][text[6]] | quads[3][text[7]]
		wrong |= x | y
		out := dst[n : n+6 : n+6]
		out[0], out[1], out[2] = byte(x>>16), byte(x>>8), byte(x)
		out[3], out[4], out[5] = byte(y>>16), byte(y>>8), byte(y)
		text, n = text[8:], n+6
	}
	if len(text) >= 4 {
		x := quads[0][text[0]] | quads[1][text[1]] | quads[2][text[2]] | quads[3][text[3]]
		wrong |= x
		out := dst[n : n+3 : n+3]
		out[0], out[1], out[2] = byte(x>>16), byte(x>>8), byte(x)
		text, n = text[4:], n+3
	}
	if wrong>>24 != 0 {
		return 0, false
	}
	switch len(text) {
	case 0:
		return n, true
	case 2:
		a, b := sextets[text[0]], sextets[text[1]]
		if (a|b)&0x80 != 0 || b&0x0F != 0 {
			return 0, false
		}
		dst[n] = a<<2 | b>>4
		return n + 1, true
	case 3:
		a, b, c := sextets[text[0]], sextets[text[1]], sextets[text[2]]
		if (a|b|c)&0x80 != 0 || c&0x03 != 0 {
			return 0, false
		}
		dst[n], dst[n+1] = a<<2|b>>4, b<<4|c>>2
		return n + 2, true
	default: // one character: six bits do not make a byte
		return 0, false
	}
}
