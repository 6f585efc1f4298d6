package users

// Parse reads an htpasswd file, and returns how many users it has, and the hash of each.
func Parse(data []byte) (map[string]string, error) {
	t, err := parse(data, Bcrypt{})
	if err != nil {
		return nil, err
	}
	hashes := make(map[string]string)
	for name, a := range t.accounts {
		hashes[name] = a.hash
	}
	return hashes, nil
}
