package matcher

// Directive has the words of the matcher.
var Directive = &directive
