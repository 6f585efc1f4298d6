import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';

// Identifiers and secrets that a client must form-encode before it puts them
// into an Authorization header (RFC 6749 section 2.3.1), and must not encode
// twice in a form. Both may have any printable ASCII character (appendix A).
const oddId = 'gate:way/+1 100%25';
const oddSecret = 'a secret: 100% & "quoted" <+/=~*> %2B';

const signing = await generateKeyPair('ES256', { extractable: true });

function client(name, method, metadata = {}, rest = {}) {
  return {
    name,
    metadata: {
      client_id: name,
      client_secret: `secret of the client called ${name}`,
      token_endpoint_auth_method: method,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      ...metadata,
    },
    ...rest,
  };
}

export const clients = [
  // Gets the tokens.
  client('caller', 'client_secret_basic'),
  // The gateway, in each of the ways in which it can say who it is.
  client('basic', 'client_secret_basic'),
  client('post', 'client_secret_post'),
  client('secretJWT', 'client_secret_jwt'),
  client('privateKeyJWT', 'private_key_jwt', {
    client_secret: undefined,
    jwks: { keys: [{ ...await exportJWK(signing.publicKey), alg: 'ES256', use: 'sig', kid: 'gateway' }] },
  }, { privateKey: await exportPKCS8(signing.privateKey) }),
  client('certificate', 'tls_client_auth', {
    client_secret: undefined,
    tls_client_auth_san_dns: 'gateway.example.com',
  }),
  // Gets signed answers to introspection (RFC 9701), when it asks for them.
  client('signed', 'client_secret_basic', { introspection_signed_response_alg: 'RS256' }),
  client('oddBasic', 'client_secret_basic', { client_id: `${oddId}:basic`, client_secret: oddSecret }),
  client('oddPost', 'client_secret_post', { client_id: `${oddId}:post`, client_secret: oddSecret }),
];
