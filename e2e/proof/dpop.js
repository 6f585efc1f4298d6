import { readFileSync } from 'node:fs';

import * as oauth from 'oauth4webapi';

import { report } from '../mcp/report.js';
import { overTLS, through } from '../mcp/through.js';
import { newSender } from './senders.js';
import { described, discover, insecure } from './server.js';

// bound gets the tokens that it is told to get, some of them bound to a key, and sends requests with them through the
// gateway's socket. Each request is
//
//   method, url  where it goes
//   token        which one
//   key          "own" (default), to which the tokens are bound, or "other"
//   wrong        what is not as it should be in the proof: see senders.js
//   pair         the token for which the proof was made, if not that of the request
//   scheme       in place of DPoP
//   proofs       how many there are, if not one
//   swap         the proof is in the place of the token, and the token in that of the proof
//   repeat       once more, with the same proof
//   nonce        "none", "made up", or "elsewhere": that of the authorization server
//
// Each is reported with all its answers, and before that the secrets that it had, which nobody may log.
export async function bound({
  socket, ca, issuer, client, library, algorithm, tokens: wanted, requests,
}) {
  const as = await discover(issuer);
  let elsewhere;
  const watching = async (...args) => {
    const response = await fetch(...args);
    elsewhere = response.headers.get('DPoP-Nonce') ?? elsewhere;
    return response;
  };
  const own = await newSender(library, algorithm);
  const other = await newSender(library, algorithm);
  const tokens = {};
  for (const [name, { resource, bound: isBound }] of Object.entries(wanted)) {
    const parameters = { resource, scope: 'read' };
    const { token_type: type, access_token: token } = isBound
      ? await own.token(as, client, parameters, watching)
      : await plainToken(as, client, parameters);
    if (type !== (isBound ? 'dpop' : 'bearer')) {
      throw new Error(`${name}: a token of type ${type}`);
    }
    tokens[name] = token;
    report('secret', token);
  }
  if (!elsewhere) {
    throw new Error('the authorization server has no nonces');
  }

  const nonces = { none: null, 'made up': 'bm9uY2U', elsewhere };
  for (const one of requests) {
    const {
      key = 'own', token, nonce, pair,
    } = one;
    const wrong = { ...one.wrong };
    if (nonce !== undefined) {
      wrong.nonce = nonces[nonce];
    }
    const answers = [];
    const gateway = one.url.startsWith('https:') ? overTLS({ socketPath: socket, ca: readFileSync(ca) }) : through(socket);
    const send = recording(tampering(gateway, one, tokens[token]), answers);
    await (key === 'own' ? own : other).send(tokens[pair ?? token], one, wrong, send);
    report('answered', (await Promise.all(answers.map(described))).join(', '));
  }
}

async function plainToken(as, { id, secret }, parameters) {
  const client = { client_id: id };
  const response = await oauth.clientCredentialsGrantRequest(
    as,
    client,
    oauth.ClientSecretBasic(secret),
    parameters,
    insecure,
  );
  return oauth.processClientCredentialsResponse(as, client, response);
}

// recording is a fetch that keeps all answers.
function recording(fetch, answers) {
  return async (...args) => {
    const responses = await fetch(...args);
    answers.push(...responses);
    return responses.at(-1);
  };
}

// tampering is a fetch that changes the header of a request that a library has made. It gives all responses.
function tampering(fetch, {
  scheme = 'DPoP', proofs = 1, swap = false, repeat = false,
}, token) {
  return async (address, { method, headers: { dpop, ...headers } }) => {
    report('secret', dpop);
    const [credentials, proof] = swap ? [dpop, token] : [token, dpop];
    const init = {
      method, headers: { ...headers, authorization: `${scheme} ${credentials}`, dpop: Array(proofs).fill(proof) },
    };
    const responses = [await fetch(address, init)];
    if (repeat) {
      responses.push(await fetch(address, init));
    }
    return responses;
  };
}
