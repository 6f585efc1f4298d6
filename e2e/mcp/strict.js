import { extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js';
import * as oauth from 'oauth4webapi';

import { report } from './report.js';
import { through } from './through.js';

// documents reads the metadata of resources as oauth4webapi wants it to be (RFC 9728 section 3.3).
export async function documents({ socket, resources }) {
  for (const resource of resources) {
    const identifier = new URL(resource);
    const response = await oauth.resourceDiscoveryRequest(identifier, { [oauth.customFetch]: through(socket) });
    report(JSON.stringify(await oauth.processResourceDiscoveryResponse(identifier, response)));
  }
}

// challenges reports how oauth4webapi and the SDK read the refusals of requests, some of which have a token.
export async function challenges({ socket, requests }) {
  for (const { url, token } of requests) {
    const send = through(socket);
    const refusal = await oauth.protectedResourceRequest(token ?? 'none', 'GET', new URL(url), undefined, null, {
      [oauth.customFetch]: (address, init) => {
        const { authorization, ...others } = init.headers;
        return send(address, { ...init, headers: token === undefined ? others : init.headers });
      },
    }).catch((err) => err);
    if (!(refusal instanceof oauth.WWWAuthenticateChallengeError)) {
      throw new Error(`${url}: no challenge that oauth4webapi can read`, { cause: refusal });
    }
    const { response, cause } = refusal;
    report(JSON.stringify({
      status: response.status, challenges: cause, sdk: extractWWWAuthenticateParams(response),
    }));
  }
}
