import { importPKCS8 } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

// Each library makes a client that has read the metadata of an issuer. A client gets tokens, asks about them, and revokes
// them, and throws what the library throws.

// authentication is how a client shows who it is. Both libraries have functions of the same names.
async function authentication(library, { method, secret, key, algorithm }) {
  switch (method) {
    case 'client_secret_basic':
      return library.ClientSecretBasic(secret);
    case 'client_secret_post':
      return library.ClientSecretPost(secret);
    case 'private_key_jwt':
      return library.PrivateKeyJwt(await importPKCS8(key, algorithm));
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      return library.TlsClientAuth();
    default:
      return library.None();
  }
}

// The grants that both libraries have no functions of their own for.
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const assertionGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

// subject is a token that is handed in for another one (RFC 8693 section 2.1).
function subject(token) {
  return { subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
}

async function oauth4webapi(issuer, algorithm, description, fetch) {
  const options = { [oauth.customFetch]: fetch };
  const url = new URL(issuer);
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...options }));
  const client = { client_id: description.id };
  const auth = await authentication(oauth, description);
  const granted = async (grant, parameters) => oauth.processGenericTokenEndpointResponse(
    as,
    client,
    await oauth.genericTokenEndpointRequest(as, client, auth, grant, parameters, options),
  );
  return {
    exchange: (parameters, token) => granted(exchangeGrant, { ...subject(token), ...parameters }),
    assert: (parameters, assertion) => granted(assertionGrant, { assertion, ...parameters }),
    token: async (parameters) => oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(as, client, auth, parameters, options),
    ),
    refresh: async (parameters, token) => oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, auth, token, { additionalParameters: parameters, ...options }),
    ),
    introspect: async (parameters, token) => oauth.processIntrospectionResponse(
      as,
      client,
      await oauth.introspectionRequest(as, client, auth, token, { additionalParameters: parameters, ...options }),
    ),
    revoke: async (parameters, token) => oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, auth, token, { additionalParameters: parameters, ...options }),
    ),
  };
}

async function openidClient(issuer, algorithm, description, fetch) {
  const config = await openid.discovery(
    new URL(issuer),
    description.id,
    undefined,
    await authentication(openid, description),
    { algorithm, [openid.customFetch]: fetch },
  );
  return {
    exchange: (parameters, token) => openid.genericGrantRequest(
      config,
      exchangeGrant,
      { ...subject(token), ...parameters },
    ),
    assert: (parameters, assertion) => openid.genericGrantRequest(config, assertionGrant, { assertion, ...parameters }),
    token: (parameters) => openid.clientCredentialsGrant(config, parameters),
    refresh: (parameters, token) => openid.refreshTokenGrant(config, token, parameters),
    introspect: (parameters, token) => openid.tokenIntrospection(config, token, parameters),
    revoke: (parameters, token) => openid.tokenRevocation(config, token, parameters),
  };
}

export const libraries = { oauth4webapi, 'openid-client': openidClient };
