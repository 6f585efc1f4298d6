import { generateKeyPairSync } from 'node:crypto';

// The keys of the API for which some tokens are encrypted.
const recipients = {
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

// decryption has the private halves, which only the API has.
export const decryption = Object.fromEntries(Object.entries(recipients).map(
  ([name, { privateKey }]) => [name, privateKey.export({ type: 'pkcs8', format: 'pem' })],
));

// The protected resources, by the resource indicator (RFC 8707) that a client
// asks a token for. The name of each is how the tests speak of it.
function jwt(alg, more = {}) {
  return {
    name: alg,
    accessTokenFormat: 'jwt',
    accessTokenTTL: 300,
    scope: 'read write',
    jwt: { sign: { alg } },
    ...more,
  };
}

// A client asks for URLs below this one and others, and every token but those
// of "elsewhere" is for one API: a gateway in front of it need accept one
// audience only.
const api = 'https://api.example.com';

// encrypted is a resource whose tokens are signed, and then encrypted for a key.
function encrypted(alg, enc, of) {
  const { publicKey: key } = recipients[of];
  return jwt('ES256', {
    name: `${alg} ${enc}`,
    audience: api,
    jwt: { sign: { alg: 'ES256' }, encrypt: { alg, enc, key, kid: of } },
  });
}

function opaque(more = {}) {
  return {
    name: 'opaque', accessTokenFormat: 'opaque', accessTokenTTL: 300, scope: 'read write', ...more,
  };
}

export const resources = new Map(Object.entries({
  'https://api.example.com/rs256': jwt('RS256', { audience: api }),
  'https://api.example.com/ps256': jwt('PS256', { audience: api }),
  'https://api.example.com/es256': jwt('ES256', { audience: api }),
  'https://api.example.com/eddsa': jwt('EdDSA', { audience: api }),
  'https://api.example.com/short': jwt('ES256', { name: 'short', audience: api, accessTokenTTL: 3 }),
  'https://other.example.com/': jwt('ES256', { name: 'elsewhere', audience: 'https://other.example.com/' }),
  'https://api.example.com/sealed-ec': encrypted('ECDH-ES', 'A256GCM', 'ec'),
  'https://api.example.com/sealed-kw': encrypted('ECDH-ES+A256KW', 'A128CBC-HS256', 'ec'),
  'https://api.example.com/sealed-rsa': encrypted('RSA-OAEP-256', 'A256CBC-HS512', 'rsa'),
  'https://api.example.com/opaque': opaque({ audience: api }),
  'https://api.example.com/opaque-short': opaque({ name: 'opaqueShort', audience: api, accessTokenTTL: 3 }),
  'https://other.example.com/opaque': opaque({ name: 'opaqueElsewhere', audience: 'https://other.example.com/' }),
}));

// What a token of some resource can be good for.
export const resourceScopes = ['read', 'write', 'mcp:tools', 'mcp:write', 'mcp:admin'];

let standIn;

// protect adds a resource whose address a test has chosen, or replaces it. The audience of its tokens is the address.
// One of them may stand in where a client asks for none.
export function protect({
  resource, lifetime = 300, scope = resourceScopes.join(' '), standsIn = false,
}) {
  resources.set(resource, jwt('ES256', { name: resource, accessTokenTTL: lifetime, scope }));
  if (standsIn) {
    standIn = resource;
  }
}

export function defaultResource() {
  return standIn;
}
