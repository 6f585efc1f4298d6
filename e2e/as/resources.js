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

function opaque(more = {}) {
  return {
    name: 'opaque', accessTokenFormat: 'opaque', accessTokenTTL: 300, scope: 'read write', ...more,
  };
}

// A client asks for these URLs, and every token but those of "elsewhere" is
// for one API: a gateway in front of it need accept one audience only.
const api = 'https://api.example.com';

export const resources = new Map(Object.entries({
  'https://api.example.com/rs256': jwt('RS256', { audience: api }),
  'https://api.example.com/ps256': jwt('PS256', { audience: api }),
  'https://api.example.com/es256': jwt('ES256', { audience: api }),
  'https://api.example.com/eddsa': jwt('EdDSA', { audience: api }),
  'https://api.example.com/short': jwt('ES256', { name: 'short', audience: api, accessTokenTTL: 3 }),
  'https://other.example.com/': jwt('ES256', { name: 'elsewhere', audience: 'https://other.example.com/' }),
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
