import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

import { Provider } from './provider.js';
import { report, reportingFetch } from './report.js';

// Agent is a client with a user: when the SDK has sent the user away and the code has come back, it tries again.
class Agent {
  client = new Client({ name: 'e2e', version: '1.0.0' });

  constructor(url, authProvider) {
    this.url = new URL(url);
    this.authProvider = authProvider;
    this.#newTransport();
    this.announced = new Promise((resolve) => {
      this.client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => resolve(params.data));
    });
  }

  #newTransport() {
    this.transport = new StreamableHTTPClientTransport(this.url, {
      authProvider: this.authProvider, fetch: reportingFetch(this.url.origin),
    });
  }

  // connect begins a session. A transport cannot be started twice, so a new one begins it with the tokens.
  async connect() {
    try {
      await this.client.connect(this.transport);
    } catch (err) {
      await this.#finish(err);
      this.#newTransport();
      await this.client.connect(this.transport);
    }
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
