// Package packaging has only tests. They read what people deploy this gateway with: the image, the unit of systemd, the
// Debian package, the examples. With the build tag "packages", which needs root and the programs that .ci/run installs,
// they build and run it.
package packaging_test
