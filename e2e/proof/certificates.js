import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import * as oauth from 'oauth4webapi';

import { report } from '../mcp/report.js';
import { overTLS } from '../mcp/through.js';
import {
  answered, described, discover, insecure, patiently,
} from './server.js';

// certificates registers a client that has a certificate, gets a token that is bound to it, and sends requests over TLS
// through the gateway's socket. Each shows one of the certificates, or none, and may have one in the header of proxies. With prove, the token is bound to a key
// instead, and the requests that say so have a proof of it: oidc-provider binds no token to both. Each is reported with
// all its answers.
export async function certificates({
  socket, issuer, mtls, ca, certificates: files, method, resource, url, prove, requests,
}) {
  const shown = Object.fromEntries(Object.entries(files).map(
    ([name, { cert, key }]) => [name, { cert: readFileSync(cert), key: readFileSync(key) }],
  ));
  const authority = readFileSync(ca);
  const fetchAs = (name, options) => overTLS({ ca: authority, ...shown[name], ...options });

  const as = await discover(issuer);
  as.mtls_endpoint_aliases = { token_endpoint: `${mtls}${new URL(as.token_endpoint).pathname}` };
  const client = await register(as, method, new X509Certificate(shown.own.cert), prove);
  const DPoP = prove ? oauth.DPoP(client, await oauth.generateKeyPair('ES256')) : undefined;
  const { access_token: token } = await patiently(
    async () => oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(
      as,
      client,
      oauth.TlsClientAuth(),
      { resource, scope: 'read' },
      { DPoP, [oauth.customFetch]: fetchAs('own') },
    )),
  );
  report('secret', token);

  for (const { certificate, forged, proof = false } of requests) {
    const headers = forged ? { 'x-client-cert': encodeURIComponent(shown[forged].cert) } : undefined;
    const answers = [];
    const send = fetchAs(certificate, { socketPath: socket });
    const options = {
      DPoP: proof ? DPoP : undefined,
      [oauth.customFetch]: async (...args) => {
        answers.push(await send(...args));
        return answers.at(-1);
      },
    };
    await answered(patiently(() => oauth.protectedResourceRequest(token, 'GET', new URL(url), headers, null, options)));
    report('answered', (await Promise.all(answers.map(described))).join(', '));
  }
}

// register adds a client with the certificate by which the authorization server knows it (RFC 8705 section 2).
async function register(as, method, certificate, prove) {
  const identity = method === 'tls_client_auth'
    ? { tls_client_auth_san_dns: certificate.subjectAltName.replace('DNS:', '') }
    : {
      jwks: { keys: [{ ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }] },
    };
  const response = await oauth.dynamicClientRegistrationRequest(as, {
    token_endpoint_auth_method: method,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    tls_client_certificate_bound_access_tokens: !prove,
    dpop_bound_access_tokens: prove,
    ...identity,
  }, insecure);
  return { ...await oauth.processDynamicClientRegistrationResponse(response), use_mtls_endpoint_aliases: true };
}
