// An authorization server on loopback for the end-to-end tests: oidc-provider
// behind one HTTP server, once for an issuer at the root and once for each of
// two issuers with a path. It prints one line of JSON that says what a test
// needs to know, and ends when its standard input is closed, so that it cannot
// outlive the test that started it.
//
//   node server.js [--tls-cert FILE --tls-key FILE --client-ca FILE]
//
// With the TLS files it also listens on HTTPS and asks for client certificates
// there (RFC 8705 section 2.1).
//
// POST /__rotate publishes new keys beside the present ones and signs with the
// new ones; POST /__retire withdraws all but the newest. POST /__replace does both
// at once, and POST /__samekid the same under the present key ids. GET /__fetches
// says how often a key set was fetched. POST /__refresh gives a refresh token of
// the client called "caller". POST /__protect adds a resource, or replaces it.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import { once } from 'node:events';
import { json } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

import { clients } from './clients.js';
import { KeyRing } from './keys.js';
import { interact, newProvider, newRefreshToken } from './provider.js';
import { decryption, protect, resources } from './resources.js';

const { values: files } = parseArgs({
  options: {
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'client-ca': { type: 'string' },
  },
});

// Where the issuers are. The second publishes only the document of RFC 8414,
// whose well-known part goes before the issuer's path (section 3.1); the third
// only that of OpenID Connect Discovery, where it goes after.
const mounts = ['/tenant/oauth', '/tenant/oidc', ''];

class Site {
  #ring = new KeyRing();
  #providers = new Map();
  #fetches = 0;

  constructor(origin) {
    this.origin = origin;
  }

  // reload puts new providers in place: oidc-provider reads its keys once.
  async reload(change) {
    await change(this.#ring);
    for (const mount of mounts) {
      this.#providers.set(mount, newProvider(this.origin + mount, this.#ring.jwks()));
    }
  }

  async serve(req, res) {
    if (req.method === 'POST' && req.url === '/__rotate') {
      await this.reload((ring) => ring.rotate());
      return res.writeHead(204).end();
    }
    if (req.method === 'POST' && req.url === '/__retire') {
      await this.reload((ring) => ring.retire());
      return res.writeHead(204).end();
    }
    if (req.method === 'POST' && req.url === '/__refresh') {
      return res.writeHead(200).end(await newRefreshToken(this.#providers.get(''), 'caller'));
    }
    if (req.method === 'POST' && req.url === '/__protect') {
      protect(await json(req));
      return res.writeHead(204).end();
    }
    if (req.method === 'POST' && req.url === '/__replace') {
      await this.reload((ring) => ring.replace());
      return res.writeHead(204).end();
    }
    if (req.method === 'POST' && req.url === '/__samekid') {
      await this.reload((ring) => ring.replaceSame());
      return res.writeHead(204).end();
    }
    if (req.method === 'GET' && req.url === '/__fetches') {
      return res.writeHead(200).end(String(this.#fetches));
    }
    if (req.url.endsWith('/jwks')) {
      this.#fetches += 1;
    }
    const wellKnown = '/.well-known/oauth-authorization-server';
    if (req.url === `${wellKnown}/tenant/oauth`) {
      req.url = `/tenant/oauth${wellKnown}`;
    } else if (req.url.startsWith('/tenant/oauth/.well-known/') || req.url === `/tenant/oidc${wellKnown}`) {
      return res.writeHead(404).end();
    }
    const mount = mounts.find((path) => req.url === path || req.url.startsWith(`${path}/`));
    if (mount === undefined) {
      return res.writeHead(404).end();
    }
    req.originalUrl = req.url;
    req.url = req.url.slice(mount.length);
    const provider = this.#providers.get(mount);
    if (req.url.startsWith('/interaction/')) {
      return interact(provider, req, res);
    }
    return provider.callback()(req, res);
  }
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

let site;
const handle = (req, res) => {
  site.serve(req, res).catch((err) => {
    console.error(err);
    res.writeHead(500).end();
  });
};

const origin = `http://127.0.0.1:${await listen(createServer(handle))}`;
site = new Site(origin);
await site.reload((ring) => ring.rotate());

let mtls;
if (files['tls-cert']) {
  const port = await listen(createTLSServer({
    cert: readFileSync(files['tls-cert']),
    key: readFileSync(files['tls-key']),
    ca: readFileSync(files['client-ca']),
    requestCert: true,
    rejectUnauthorized: false, // the provider refuses, with an OAuth error
  }, handle));
  mtls = `https://127.0.0.1:${port}`;
}

console.log(JSON.stringify({
  issuer: origin,
  oauthTenant: `${origin}/tenant/oauth`,
  oidcTenant: `${origin}/tenant/oidc`,
  mtls,
  decryption,
  resources: Object.fromEntries([...resources].map(([url, { name }]) => [name, url])),
  clients: Object.fromEntries(clients.map(({ name, metadata, privateKey }) => [name, {
    id: metadata.client_id,
    secret: metadata.client_secret,
    method: metadata.token_endpoint_auth_method,
    privateKey,
  }])),
}));

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
