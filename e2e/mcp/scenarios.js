import { setTimeout } from 'node:timers/promises';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { auth, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

import { Provider } from './provider.js';
import { report, reportingFetch } from './report.js';

// Agent is a client with a user: when the SDK has sent the user away and the code has come back, it tries again.
class Agent {
  client = new Client({ name: 'e2e', version: '1.0.0' });

  constructor(url, authProvider, change = (send) => send) {
    this.url = new URL(url);
    this.authProvider = authProvider;
    this.fetch = change(reportingFetch(this.url.origin));
    this.#newTransport();
    this.announced = new Promise((resolve) => {
      this.client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => resolve(params.data));
    });
  }

  #newTransport() {
    this.transport = new StreamableHTTPClientTransport(this.url, {
      authProvider: this.authProvider, fetch: this.fetch,
    });
  }

  // connect begins a session, with a new transport after the user was asked: none can be started twice.
  async connect(meanwhile = () => {}) {
    for (let tries = 0; tries < 3; tries += 1) {
      try {
        return await this.client.connect(this.transport);
      } catch (err) {
        await this.#finish(err);
        await meanwhile();
        this.#newTransport();
      }
    }
    throw new Error('the user was asked too often');
  }

  // again begins another session.
  again() {
    this.#newTransport();
    return this.connect();
  }

  async call(name, args = {}, options = {}) {
    const request = () => this.client.callTool({ name, arguments: args }, undefined, options);
    let result;
    try {
      result = await request();
    } catch (err) {
      await this.#finish(err);
      result = await request();
    }
    const [{ text }] = result.content;
    report('result', name, text);
    return text;
  }

  async #finish(err) {
    if (!(err instanceof UnauthorizedError) || !this.authProvider.code) {
      throw err;
    }
    await this.transport.finishAuth(this.authProvider.code);
    this.authProvider.code = undefined;
  }
}

// everything is one session from the 401 to its end.
export async function everything({ url }) {
  const agent = new Agent(url, new Provider());
  await agent.connect();
  const { sessionId } = agent.transport;
  report(sessionId === undefined ? 'no session' : 'session begun');

  await agent.call('add', { a: 1, b: 2 });
  await agent.call('headers');
  await agent.call('stepwise', {}, {
    onprogress({ progress }) {
      report('progress', progress);
      agent.client.callTool({ name: 'heard' }).catch((err) => report('failed', err.message));
    },
  });
  await agent.call('announce');
  report('heard on the stream:', await agent.announced);

  const same = agent.transport.sessionId === sessionId;
  await agent.transport.terminateSession();
  report(same ? 'the same session to the end' : 'another session');
  await agent.client.close();
}

// calls is a session with calls of some tools.
export async function calls({ url, tools }) {
  await session(new Agent(url, new Provider()), tools);
}

// mirrored is the same, by a client that repeats the method and the tool of each body in header fields. The revision
// 2026-07-28 of MCP demands that. The SDK does not know it yet.
export async function mirrored({ url, tools }) {
  await session(new Agent(url, new Provider(), (send) => (address, init) => {
    if (init?.method !== 'POST' || String(address) !== url) {
      return send(address, init);
    }
    const { method, params } = JSON.parse(init.body);
    const headers = new Headers(init.headers);
    headers.set('Mcp-Method', method);
    if (params?.name !== undefined) {
      headers.set('Mcp-Name', params.name);
    }
    return send(address, { ...init, headers });
  }), tools);
}

// old is the same, by a client that does not know metadata of resources: the revision 2025-03-26 of MCP has none.
export async function old({ url, issuer, tools }) {
  await protect(issuer, { resource: url, standsIn: true });
  await session(new Agent(url, new Provider(), (send) => (address, init) => (
    new URL(address).pathname.startsWith('/.well-known/oauth-protected-resource')
      ? new Response(null, { status: 404 })
      : send(address, init)
  )), tools);
}

// stepUp is the same, by a client that has no refresh token. The SDK would spend that first, which gives no new scopes.
export async function stepUp({ url, tools }) {
  await session(new Agent(url, new Provider(['authorization_code'])), tools);
}

// machine is the same, by a client without a user that the authorization server knows.
export async function machine({
  url, tools, issuer, client, scope,
}) {
  await session(new Agent(url, new ClientCredentialsProvider({
    clientId: client.ID, clientSecret: client.Secret, expectedIssuer: issuer, scope,
  })), tools);
}

async function session(agent, tools) {
  await agent.connect();
  for (const name of tools) {
    try {
      await agent.call(name);
    } catch (err) {
      report('failed', name, err.code, err.message);
    }
  }
  await agent.client.close();
}

// expiry is a session that outlives its first token.
export async function expiry({ url, issuer }) {
  const provider = new Provider();
  const agent = new Agent(url, provider);
  await agent.connect();
  const { sessionId } = agent.transport;

  await protect(issuer, { resource: url, lifetime: 1 });
  await auth(provider, { serverUrl: url });
  await refused(url, provider.tokens().access_token);
  await protect(issuer, { resource: url });
  report('expired');

  await agent.call('headers');
  report(agent.transport.sessionId === sessionId ? 'the same session' : 'another session');
  await agent.client.close();
}

// refused waits until the gateway no longer accepts a token.
async function refused(url, token) {
  const headers = { Authorization: `Bearer ${token}`, 'Mcp-Session-Id': 'none' };
  while ((await fetch(url, { headers })).status !== 401) {
    await setTimeout(50);
  }
}

async function protect(issuer, resource) {
  const { status } = await fetch(`${issuer}/__protect`, { method: 'POST', body: JSON.stringify(resource) });
  if (status !== 204) {
    throw new Error(`the authorization server does not take the resource: ${status}`);
  }
}

// grudging is a session whose user first grants less than the client asks for.
export async function grudging({ url, issuer, scope }) {
  await protect(issuer, { resource: url, scope });
  const agent = new Agent(url, new Provider(['authorization_code']));
  await agent.connect(() => protect(issuer, { resource: url }));
  await agent.call('headers');
  await agent.client.close();
}

// elsewhere takes the token for one resource to another.
export async function elsewhere({ url, other }) {
  const provider = new Provider();
  const agent = new Agent(url, provider);
  await agent.connect();
  await agent.client.close();
  await reportingFetch(new URL(url).origin)(other, {
    headers: { Authorization: `Bearer ${provider.tokens().access_token}` },
  });
}

// cut is a session whose stream ends with the token that opened it.
export async function cut({ url, issuer }) {
  const provider = new Provider();
  let streams = 0;
  const agent = new Agent(url, provider, (send) => async (address, init) => {
    const answer = await send(address, init);
    streams += init.method === 'GET' && answer.headers.get('Content-Type') === 'text/event-stream' ? 1 : 0;
    return answer;
  });
  await agent.connect();
  await agent.client.close();

  await protect(issuer, { resource: url, lifetime: 4 });
  await auth(provider, { serverUrl: url });
  await protect(issuer, { resource: url });
  const before = streams;
  await agent.again();
  while (streams < before + 2) {
    await setTimeout(50);
  }
  await agent.call('announce');
  report('heard on the stream:', await agent.announced);
  await agent.client.close();
}
