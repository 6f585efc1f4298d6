# The custom Caddy of this tree, alone in an image: no shell, no package manager, nothing to update but Caddy itself.
#
#   docker build -t caddy-bearer-auth .
#
# docs/deploy.md says how to run it, and how to pin the base image by its digest.
ARG GO_IMAGE=golang:1.26.8

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS TARGETARCH
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
WORKDIR /src
COPY . .
RUN go run ./cmd/build -os "$TARGETOS" -arch "$TARGETARCH" -output /image/usr/bin/caddy
RUN mkdir -p /image/config /image/data /image/etc/caddy /image/etc/ssl/certs \
	&& cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

FROM scratch
# Only for the labels.
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="caddy-bearer-auth" \
	org.opencontainers.image.description="Caddy with a gate for OAuth 2.0 access tokens" \
	org.opencontainers.image.source="https://github.com/caddyjwt/gateway" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="$VERSION" \
	org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/usr /usr
COPY --from=build /image/etc /etc
# Caddy writes here alone: certificates and stores to /data, the last configuration to /config.
COPY --from=build --chown=65532:65532 /image/config /config
COPY --from=build --chown=65532:65532 /image/data /data
ENV PATH=/usr/bin HOME=/data XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
VOLUME /config /data
USER 65532:65532
# As said by http_port and https_port in a Caddyfile. The admin endpoint, port 2019, is for nobody outside.
EXPOSE 8080 8443 8443/udp
# It asks the admin endpoint inside of the container which gates are in force.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["caddy", "bearer-auth", "gates"]
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
