package caddyjwt

// Words are those of each block, with a star where they are repeatable.
var Words = words
