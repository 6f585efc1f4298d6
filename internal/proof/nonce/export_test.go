package nonce

// NameInStore is where a store has the secret.
const NameInStore = nameInStore
