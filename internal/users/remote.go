package users

import "runtime"

// Remoter is a Directory that may ask a server. Its checks take as long as the server does, and hardly any time of a
// processor. So they need other bounds than hashes do.
type Remoter interface {
	Directory
	// Remote reports whether Check asks a server about this name. It asks none itself.
	Remote(name string) bool
}

// Remote reports whether a directory asks a server about a name.
func Remote(d Directory, name string) bool {
	r, is := d.(Remoter)
	return is && r.Remote(name)
}

// Remote implements Remoter. A name that a directory with hashes has is not remote, unless a server stands before that
// directory.
func (j *Joint) Remote(name string) bool {
	for _, m := range j.members {
		if t := tableOf(m); t != nil && t.has(name) {
			return false
		}
		if Remote(m.Directory, name) {
			return true
		}
	}
	return false
}

// decoys bounds the hashes that only take time while a server is asked. Many servers may be asked at once, and so many
// hashes would leave no processor to the rest.
type decoys chan struct{}

func newDecoys() decoys { return make(decoys, max(1, runtime.GOMAXPROCS(0)/4)) }

func (d decoys) spend(v *view, password string) {
	if v.costly == nil {
		return
	}
	d <- struct{}{}
	defer func() { <-d }()
	v.spend(password)
}
