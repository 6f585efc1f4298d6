import { X509Certificate } from 'node:crypto';

import Provider, { errors } from 'oidc-provider';

import { clients } from './clients.js';
import { resources } from './resources.js';

// newProvider makes the authorization server of one issuer.
export function newProvider(issuer, jwks) {
  return new Provider(issuer, {
    jwks,
    clients: clients.map(({ metadata }) => metadata),
    scopes: ['read', 'write', 'offline_access'],
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth',
    ],
    // Claims for the gateway to find: nested, and with a name that is a URL.
    extraTokenClaims: () => ({
      realm_access: { roles: ['reader', 'writer'] },
      'https://example.com/department': 'logistics',
    }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        getCertificate: certificate,
        certificateAuthorized: (ctx) => ctx.socket.authorized === true,
        certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_dns'
          && certificate(ctx).checkHost(expected) === expected,
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(ctx, resource) {
          if (!Object.hasOwn(resources, resource)) {
            throw new errors.InvalidTarget();
          }
          return resources[resource];
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

function certificate(ctx) {
  const { raw } = ctx.socket.getPeerCertificate?.() ?? {};
  return raw && new X509Certificate(raw);
}
