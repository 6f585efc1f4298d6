import * as oauth from 'oauth4webapi';

import { report } from '../mcp/report.js';
import { through } from '../mcp/through.js';
import { authorize } from '../mcp/user.js';
import {
  answered, described, discover, insecure, patiently,
} from './server.js';

const redirectUrl = 'http://127.0.0.1/callback';

// wayIn is what a page in a browser does that knows the address of a resource and nothing else. The metadata of the
// resource lead it to the authorization server, and say which proofs it may send. It registers, its user logs in, and all
// its tokens are bound to a key that never leaves the browser. It reports what it learns and each answer of the gateway.
export async function wayIn({ socket, resource }) {
  const url = new URL(resource);
  const answers = [];
  const send = async (...args) => {
    answers.push(await through(socket)(...args));
    return answers.at(-1);
  };
  const gateway = { [oauth.customFetch]: send };
  const tell = async (what) => report(what, (await Promise.all(answers.splice(0).map(described))).join(', '));

  const document = await oauth.processResourceDiscoveryResponse(
    url,
    await oauth.resourceDiscoveryRequest(url, gateway),
  );
  await tell('metadata');
  report(
    'proofs',
    document.dpop_signing_alg_values_supported.join(' '),
    `required=${document.dpop_bound_access_tokens_required ?? false}`,
    `certificates=${document.tls_client_certificate_bound_access_tokens ?? false}`,
  );

  const as = await discover(document.authorization_servers[0]);
  const algorithm = as.dpop_signing_alg_values_supported
    .find((one) => document.dpop_signing_alg_values_supported.includes(one));
  report('algorithm', algorithm);
  const client = await register(as);
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(algorithm), {
    // The library calls Ed25519 by that name, and the two servers may know only the older one, EdDSA.
    [oauth.modifyAssertion]: (header) => { header.alg = algorithm; },
  });
  let tokens = await logIn(as, client, DPoP, { resource, scope: document.scopes_supported.join(' ') });

  for (const use of ['granted', 'refreshed']) {
    report('secret', tokens.access_token);
    report(use, tokens.token_type, tokens.scope);
    for (const again of ['first', 'second']) {
      await answered(patiently(() => oauth.protectedResourceRequest(
        tokens.access_token,
        'GET',
        url,
        undefined,
        null,
        { ...gateway, DPoP },
      )));
      await tell(again);
    }
    await answered(oauth.protectedResourceRequest(tokens.access_token, 'GET', url, undefined, null, gateway));
    await tell('as bearer');
    if (use === 'granted') {
      tokens = await refresh(as, client, DPoP, tokens.refresh_token);
    }
  }
}

async function register(as) {
  return oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    dpop_bound_access_tokens: true,
  }, insecure));
}

// logIn is the authorization code flow. The code is bound to the key, too (RFC 9449 section 10).
async function logIn(as, client, DPoP, asked) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: redirectUrl,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    dpop_jkt: await DPoP.calculateThumbprint(),
    state,
    ...asked,
  });
  const parameters = oauth.validateAuthResponse(as, client, await authorize(url, redirectUrl), state);
  return patiently(async () => oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(
      as,
      client,
      oauth.None(),
      parameters,
      redirectUrl,
      verifier,
      { DPoP, additionalParameters: { resource: asked.resource }, ...insecure },
    ),
  ));
}

async function refresh(as, client, DPoP, token) {
  return patiently(async () => oauth.processRefreshTokenResponse(
    as,
    client,
    await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, { DPoP, ...insecure }),
  ));
}
