import * as oauth from 'oauth4webapi';

// The authorization server and the gateway are on loopback, without TLS.
export const insecure = { [oauth.allowInsecureRequests]: true };

// discover reads the metadata of the authorization server (RFC 8414).
export async function discover(issuer) {
  const url = new URL(issuer);
  const response = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure });
  return oauth.processDiscoveryResponse(url, response);
}

// patiently calls a function, and once again if the server wants a nonce in the proof: the library knows it by then.
export async function patiently(call) {
  try {
    return await call();
  } catch (err) {
    if (!oauth.isDPoPNonceError(err)) {
      throw err;
    }
    return call();
  }
}

// answered gives the response to a request for a protected resource, whether it was refused or not.
export async function answered(request) {
  try {
    return await request;
  } catch (err) {
    if (!(err instanceof oauth.WWWAuthenticateChallengeError)) {
      throw err;
    }
    return err.response;
  }
}

// described says what a response is in one line: its status, the error of each challenge, and whether it has a nonce.
export async function described(response) {
  const { status, headers } = response;
  const words = [status];
  for (const { scheme, parameters } of await challenges(status, headers)) {
    words.push(`${scheme}:${parameters.error ?? '-'}`);
  }
  if (headers.has('DPoP-Nonce')) {
    words.push('nonce');
  }
  return words.join(' ');
}

// challenges are those that oauth4webapi reads.
async function challenges(status, headers) {
  try {
    await oauth.protectedResourceRequest('none', 'GET', new URL('https://example.com'), undefined, null, {
      [oauth.customFetch]: async () => new Response(null, { status, headers }),
    });
    return [];
  } catch (err) {
    return err.cause;
  }
}
