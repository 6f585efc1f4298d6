package jose

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// Bounds on PEM files.
const (
	maxPEM     = 1 << 20
	maxPEMKeys = 100
)

// ParsePEM reads the public keys in a PEM text: "PUBLIC KEY" (RFC 7468 section 13), "RSA PUBLIC KEY" (RFC 8017 appendix
// A.1.1) and "CERTIFICATE" (RFC 7468 section 5). It skips text outside the blocks, which openssl writes. There must be
// between 1 and 100 keys. [NewPublicKey] decides whether a key can be used.
//
// Certificates must be valid at the time now. If they restrict the use of their key, it must be for signatures. Nothing
// else in them is checked, since it is the file that is trusted. The time returned is the earliest at which one of the
// certificates expires, or zero if there are none.
//
// Private keys are an ErrPrivateKey. One block that cannot be read makes the whole text an ErrKey.
func ParsePEM(data []byte, now time.Time) ([]crypto.PublicKey, time.Time, error) {
	blocks, err := PEMBlocks(data)
	if err != nil {
		return nil, time.Time{}, err
	}
	var (
		keys     []crypto.PublicKey
		notAfter time.Time
	)
	for _, block := range blocks {
		key, expiry, err := parseBlock(block, now)
		if err != nil {
			return nil, time.Time{}, err
		}
		keys = append(keys, key)
		if !expiry.IsZero() && (notAfter.IsZero() || expiry.Before(notAfter)) {
			notAfter = expiry
		}
	}
	return keys, notAfter, nil
}

// PEMBlocks reads the blocks of a PEM text of keys or certificates: between 1 and 100. It skips text outside of them.
func PEMBlocks(data []byte) (blocks []*pem.Block, err error) {
	if len(data) > maxPEM {
		return nil, fmt.Errorf("%w: PEM text of more than %d bytes", ErrKey, maxPEM)
	}
	data = PlainText(data)
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if len(blocks) == maxPEMKeys {
			return nil, fmt.Errorf("%w: more than %d PEM blocks", ErrKey, maxPEMKeys)
		}
		blocks = append(blocks, block)
	}
	// pem.Decode skips a damaged block like any other text. Going on without it would lose a key silently.
	if n := bytes.Count(data, []byte("-----BEGIN")); n != len(blocks) {
		return nil, damagedBlock(data)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("%w: there is no PEM block in it", ErrKey)
	}
	return blocks, nil
}

// damagedBlock names the usual cause: line ends are lost in environment variables.
func damagedBlock(data []byte) error {
	if bytes.Contains(data, []byte(`\n`)) {
		return fmt.Errorf("%w: damaged PEM block: it has \"\\n\" written out where a line has to end", ErrKey)
	}
	return fmt.Errorf("%w: damaged PEM block: is a part missing, or have line ends become blanks?", ErrKey)
}

// parseBlock reads one key. The time is when its certificate expires, or zero for a key without one.
func parseBlock(block *pem.Block, now time.Time) (crypto.PublicKey, time.Time, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf(
				"%w: public key, which must be RSA, P-256, P-384, P-521 or Ed25519: %w", ErrKey, err)
		}
		return key, time.Time{}, nil
	case block.Type == "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("%w: RSA public key: %w", ErrKey, err)
		}
		return key, time.Time{}, nil
	case block.Type == "CERTIFICATE":
		return parseCertificate(block.Bytes, now)
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, time.Time{}, ErrPrivateKey
	default:
		return nil, time.Time{}, fmt.Errorf("%w: PEM block %q is neither a public key nor a certificate", ErrKey, block.Type)
	}
}

func parseCertificate(der []byte, now time.Time) (crypto.PublicKey, time.Time, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	switch {
	case now.Before(cert.NotBefore):
		return nil, time.Time{}, fmt.Errorf("%w is not valid before %s", ErrCertificate, cert.NotBefore.Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return nil, time.Time{}, &ExpiredError{cert.NotAfter}
	case cert.KeyUsage != 0 && cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return nil, time.Time{}, fmt.Errorf("%w is not for digital signatures, by its key usage", ErrCertificate)
	}
	return cert.PublicKey, cert.NotAfter, nil
}
