import { randomBytes, X509Certificate } from 'node:crypto';

import Provider, { errors } from 'oidc-provider';

import { clients } from './clients.js';
import { defaultResource, resourceScopes, resources } from './resources.js';

// newProvider makes the authorization server of one issuer.
export function newProvider(issuer, jwks) {
  return new Provider(issuer, {
    jwks,
    clients: clients.map(({ metadata }) => metadata),
    scopes: [...resourceScopes, 'offline_access'],
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth',
      'self_signed_tls_client_auth', 'none',
    ],
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'] },
    // Claims for the gateway to find: nested, and with a name that is a URL. A user's access token names the session
    // that it comes from, as the ID token does, so that it ends with that.
    extraTokenClaims: (ctx) => ({
      realm_access: { roles: ['reader', 'writer'] },
      'https://example.com/department': 'logistics',
      sid: (ctx.oidc.entities.AuthorizationCode ?? ctx.oidc.entities.RefreshToken)?.sid,
    }),
    interactions: {
      url: (ctx, { uid }) => `${new URL(issuer).pathname.replace(/\/$/, '')}/interaction/${uid}`,
    },
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    // A client that registers itself asks for the scopes of its first challenge. It is not held to them, or it could
    // never get more (RFC 7591 section 3.2.1: the server may replace what was asked for).
    extraClientMetadata: {
      properties: ['scope'],
      validator(ctx, name, value, metadata) {
        metadata.scope = undefined;
      },
    },
    // It refuses to send anything to loopback by a dispatcher of its own. The receivers of logout tokens are there.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: false },
      registration: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      // Tokens are bound to the key of whoever sends a DPoP proof for them.
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        selfSignedTlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate: certificate,
        certificateAuthorized: (ctx) => ctx.socket.authorized === true,
        certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_dns'
          && certificate(ctx).checkHost(expected) === expected,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx, client, asked) => asked ?? defaultResource(),
        getResourceServerInfo(ctx, resource) {
          if (!resources.has(resource)) {
            throw new errors.InvalidTarget();
          }
          return resources.get(resource);
        },
      },
    },
  });
}

// newRefreshToken makes a refresh token such as a user's client gets.
export async function newRefreshToken(provider, clientId) {
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: 'alice', clientId });
  const scope = 'openid offline_access';
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  return new provider.RefreshToken({
    client, accountId: 'alice', grantId, scope, gty: 'authorization_code',
  }).save();
}

// interact stands for the user and the pages that the server shows: alice logs in, and consents to whatever is asked.
export async function interact(provider, req, res) {
  const {
    prompt, params, session, grantId,
  } = await provider.interactionDetails(req, res);
  if (prompt.name === 'login') {
    return provider.interactionFinished(req, res, { login: { accountId: 'alice' } });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(' '));
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return provider.interactionFinished(
    req,
    res,
    { consent: { grantId: await grant.save() } },
    { mergeWithLastSubmission: true },
  );
}

function certificate(ctx) {
  const { raw } = ctx.socket.getPeerCertificate?.() ?? {};
  return raw && new X509Certificate(raw);
}
