package refresh

// Lifetime is lifetime, for the fuzz test.
var Lifetime = lifetime
