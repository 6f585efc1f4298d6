import * as dpop from 'dpop';
import * as oauth from 'oauth4webapi';

import { answered, insecure, patiently } from './server.js';

// A sender has a key, gets tokens that are bound to it, and sends requests with proofs of it. Each is one library, and
// handles nonces as that library's documentation says.
//
// What is not as it should be in a proof is in "wrong": the members htm, htu, nonce and ath replace claims, null removes
// one, and age is how many seconds ago the proof was made.

// OAuth4WebAPI makes proofs with oauth4webapi.
class OAuth4WebAPI {
  #wrong = {};

  constructor(keys, algorithm) {
    this.handle = oauth.DPoP({}, keys, {
      [oauth.modifyAssertion]: (header, payload) => {
        if (algorithm === 'EdDSA') { // the older name of Ed25519
          header.alg = algorithm;
        }
        const { age = 0, ...claims } = this.#wrong;
        Object.assign(payload, claims);
        payload.iat -= age;
        for (const name of Object.keys(claims).filter((one) => claims[one] === null)) {
          delete payload[name];
        }
      },
    });
  }

  async token(as, { id, secret }, parameters, fetch) {
    const client = { client_id: id };
    return patiently(async () => oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(
      as,
      client,
      oauth.ClientSecretBasic(secret),
      parameters,
      { DPoP: this.handle, [oauth.customFetch]: fetch, ...insecure },
    )));
  }

  // send gives the last response.
  async send(token, { method, url }, wrong, fetch) {
    this.#wrong = wrong;
    const request = () => oauth.protectedResourceRequest(token, method, new URL(url), undefined, null, {
      DPoP: this.handle, [oauth.customFetch]: fetch, ...insecure,
    });
    return answered('nonce' in wrong ? request() : patiently(request));
  }
}

// Plain makes proofs with the package dpop, whose users send the requests themselves.
class Plain {
  #nonces = new Map(); // by origin

  constructor(keys) {
    this.keys = keys;
  }

  // token gets one by client credentials.
  async token(as, { id, secret }, parameters, fetch) {
    const response = await this.#send('POST', as.token_endpoint, undefined, {}, {
      authorization: `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`,
      'content-type': 'application/x-www-form-urlencoded',
    }, new URLSearchParams({ ...parameters, grant_type: 'client_credentials' }), fetch);
    const granted = await response.json();
    return { ...granted, token_type: granted.token_type?.toLowerCase() };
  }

  send(token, { method, url }, wrong, fetch) {
    return this.#send(method, url, token, wrong, { authorization: `DPoP ${token}` }, undefined, fetch);
  }

  async #send(method, address, token, wrong, headers, body, fetch) {
    const url = new URL(address);
    const once = async () => {
      const proof = await this.#proof(method, url, token, wrong);
      const response = await fetch(address, { method, headers: { ...headers, dpop: proof }, body });
      const nonce = response.headers.get('DPoP-Nonce');
      if (nonce !== null) {
        this.#nonces.set(url.origin, nonce);
      }
      return response;
    };
    const response = await once();
    return 'nonce' in wrong || !await wantsNonce(response) ? response : once();
  }

  async #proof(method, url, token, { age = 0, ath, ...wrong }) {
    const { now } = Date;
    Date.now = () => now() - age * 1000; // the clock of the client is wrong
    try {
      return await dpop.generateProof(
        this.keys,
        wrong.htu ?? url.origin + url.pathname,
        wrong.htm ?? method,
        ('nonce' in wrong ? wrong.nonce : this.#nonces.get(url.origin)) ?? undefined,
        ath === null ? undefined : token,
        {},
      );
    } finally {
      Date.now = now;
    }
  }
}

// wantsNonce reports whether a server refuses a proof only for its nonce: the authorization server says so in the body.
async function wantsNonce(response) {
  const said = response.headers.get('WWW-Authenticate') ?? (response.ok ? '' : await response.clone().text());
  return said.includes('use_dpop_nonce');
}

const senders = { oauth4webapi: OAuth4WebAPI, dpop: Plain };

// newSender makes a sender of a library with a new key. Both libraries have Ed25519 by its own name.
export async function newSender(library, algorithm) {
  const { generateKeyPair } = library === 'dpop' ? dpop : oauth;
  const keys = await generateKeyPair(algorithm === 'EdDSA' ? 'Ed25519' : algorithm);
  return new senders[library](keys, algorithm);
}
