package keyring

// Recode reads a document and writes it again.
func Recode(text []byte, issuer string) ([]byte, error) {
	doc, err := decode(text, issuer)
	if err != nil {
		return nil, err
	}
	return doc.encode(issuer)
}
