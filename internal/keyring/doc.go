// Package keyring has the signing keys of a token issuer. It makes them, keeps them in a vault that all nodes share,
// changes them from time to time, and publishes their public halves.
//
// One document in the vault has all keys of an issuer. Nodes change it whole, under the lock of the vault. There is
// always one key that signs and one that comes next, which is published already. So nobody meets a token before its
// key: rotation makes the next key sign, and makes another one for later. The former key verifies until the last token
// that was signed with it has ended. Its private half is forgotten at once.
//
// Every node looks at the document every few seconds. A token with an unknown key makes it look at once, so a token
// that another node has just signed verifies here. Strangers can invent key ids. That costs one look in a second at
// most, however many they invent, and it never delays tokens of known keys.
//
// While the vault cannot be read, a node goes on with the keys that it has. It then does not notice what other nodes
// change: after a reset it accepts, and makes, tokens of the old keys until it can read the vault again. A node that
// hears of a reset in another way calls Doubt, which ends that.
//
// Nodes that share their sessions and not the vault have different keys by mistake. They meet in a Register, and say so
// in their logs. That is all they do: none of them accepts what it would not accept alone, and a vault that was lost
// must not keep a node from its start.
package keyring
