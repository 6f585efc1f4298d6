package consumer

import "iter"

// Roster has consumers that may come and go while a gate runs. What its methods return never changes: when something
// about a consumer does, another Consumer with other Credentials takes its place. So a pointer to a Credential stands
// for all that was known when a token was verified. The methods neither wait nor allocate.
type Roster interface {
	// Member returns the credential with this key, and its consumer, as they are now; nil if there is none.
	Member(key string) (*Consumer, *Credential)
	// Consumer returns the consumer with this username as it is now; nil if there is none.
	Consumer(username string) *Consumer
	// WithCustomID returns the consumer with this custom id as it is now; nil if none has it, or if several do.
	WithCustomID(id string) *Consumer
	// UniqueCustomIDs returns an error about two consumers with the same custom id; nil if there are none.
	UniqueCustomIDs() error
	// Keys are the keys of all credentials as they are now, and Len is their number.
	Keys() iter.Seq[string]
	Len() int
	// At adds to an error about a consumer where it comes from. It may allocate.
	At(username string, err error) error
}
