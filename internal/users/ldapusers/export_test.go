package ldapusers

// MayDial says why an address must not be dialled; nil if it may.
func MayDial(d *ByDN, address string) error { return d.server.mayDial(address) }
