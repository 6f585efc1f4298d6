import { readFileSync } from 'node:fs';

import { report } from '../mcp/report.js';
import { overTLS } from '../mcp/through.js';
import { libraries } from './libraries.js';

// speaks does one step after the other with a library, over TLS. The clients are
//
//   id, method         the client_id, and how the client shows who it is
//   secret             of client_secret_basic and client_secret_post
//   key, algorithm     of private_key_jwt: PEM, and what it signs with
//   certificate        its certificate and its key, as files
//
// and the steps are
//
//   do                 "token", "refresh", "exchange", "assert", "introspect", "revoke"
//   client             the name of one of the clients
//   discovery          "oauth2" (default) or "oidc": where the metadata come from
//   parameters         further ones of the request
//   token              the name of a token that was given before, or the token itself
//   save               the name for what is given
//
// Each is reported: what the library says was granted, or the status and the error that it says it got. All tokens are
// reported as secrets.
export async function speaks({
  library, issuer, ca, clients, steps, tokens = {},
}) {
  const authority = readFileSync(ca);
  const sessions = new Map();
  for (const {
    do: what, client: name, discovery = 'oauth2', parameters = {}, token, save,
  } of steps) {
    try {
      const key = `${name} ${discovery}`;
      if (!sessions.has(key)) {
        const client = clients[name];
        const files = client.certificate && {
          cert: readFileSync(client.certificate.cert), key: readFileSync(client.certificate.key),
        };
        sessions.set(key, await libraries[library](issuer, discovery, client, overTLS({ ca: authority, ...files })));
      }
      const answer = await sessions.get(key)[what](parameters, tokens[token] ?? token);
      for (const secret of [answer?.access_token, answer?.refresh_token].filter(Boolean)) {
        report('secret', secret);
      }
      if (save) {
        tokens[save] = answer.access_token;
        tokens[`${save} refresh`] = answer.refresh_token;
      }
      report(described(what, answer));
    } catch (err) {
      report(await refusal(err));
    }
  }
}

// described says in one line what a library got.
function described(what, answer) {
  switch (what) {
    case 'introspect':
      return answer.active ? `active ${answer.sub} ${answer.client_id} ${answer.scope ?? '-'}` : 'inactive';
    case 'revoke':
      return 'revoked';
    default:
      return `granted ${answer.token_type} ${answer.scope ?? '-'} ${answer.refresh_token ? 'with' : 'without'} refresh`;
  }
}

// refusal is the status and the error of an answer. A library that sees a challenge leaves the body to its user.
async function refusal(err) {
  if (err.error) {
    return `${err.status} ${err.error}`;
  }
  if (err.code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE') {
    const { error } = await err.response.json();
    return `${err.status} ${error} ${err.cause.map(({ scheme }) => scheme).join(' ')}`;
  }
  const { code } = err.cause ?? err;
  if (code?.startsWith('ERR_SSL') || code === 'ECONNRESET' || code === 'EPIPE') { // the server has ended the handshake
    return 'no connection';
  }
  throw err;
}
