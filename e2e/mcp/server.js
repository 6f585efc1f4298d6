// An MCP server on loopback for the end-to-end tests: the server of the MCP SDK over streamable HTTP. It knows nothing
// of tokens: the gateway before it does. It prints one line of JSON with its address, and ends when its standard input
// is closed, so that it cannot outlive the test that started it.
//
// Every path is an endpoint of the same server. GET /__seen lists the requests that arrived since it was last asked.

import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const sessions = new Map(); // session id → { transport, listening, events }
let seen = [];

// The tools. Each gives the text of its result.
const tools = {
  add: ({ a, b }) => String(a + b),

  // What the gateway made of the request.
  headers: (args, { requestInfo: { headers } }) => JSON.stringify({
    authorization: headers.authorization ?? null,
    subject: headers['x-subject'] ?? null,
  }),

  // Reports progress, and goes on only when its client has heard of it and says so. That a client hears of the first
  // step before there is a result shows that the answer is a stream all the way.
  async stepwise(args, { _meta: { progressToken }, sendNotification, sessionId }) {
    for (let progress = 1; progress <= 3; progress += 1) {
      const heard = once(sessions.get(sessionId).events, 'heard');
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
      await heard;
    }
    return 'done';
  },
  heard(args, { sessionId }) {
    sessions.get(sessionId).events.emit('heard');
    return 'ok';
  },

  // Sends a message on the stream that the client opens with GET, once that is there.
  async announce(args, { sessionId }, server) {
    await sessions.get(sessionId).listening;
    await server.sendLoggingMessage({ level: 'info', data: 'hello' }, sessionId);
    return 'announced';
  },

  write: () => 'written',
  administer: () => 'administered',
};

function newServer() {
  const server = new Server({ name: 'e2e', version: '1.0.0' }, { capabilities: { logging: {}, tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: args } }, extra) => ({
    content: [{ type: 'text', text: await tools[name](args, extra, server) }],
  }));
  return server;
}

async function newSession() {
  const session = { events: new EventEmitter() };
  session.listening = new Promise((resolve) => { session.listens = resolve; });
  session.transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => { sessions.set(id, session); },
    onsessionclosed: (id) => { sessions.delete(id); },
  });
  await newServer().connect(session.transport);
  return session;
}

async function serve(req, res) {
  if (req.url === '/__seen') {
    res.writeHead(200).end(JSON.stringify(seen));
    seen = [];
    return;
  }
  const body = req.method === 'POST' ? await json(req) : undefined;
  seen.push({ method: req.method, path: req.url, rpc: body?.method, tool: body?.params?.name });
  const id = req.headers['mcp-session-id'];
  const session = id === undefined ? await newSession() : sessions.get(id);
  if (session === undefined) {
    res.writeHead(404).end();
    return;
  }
  if (req.method === 'GET') { // The stream can be used from when its answer begins.
    const { writeHead } = res;
    res.writeHead = (...args) => {
      session.listens();
      return writeHead.apply(res, args);
    };
  }
  await session.transport.handleRequest(req, res, body);
}

const server = createServer((req, res) => {
  serve(req, res).catch((err) => {
    console.error(err);
    res.destroy();
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(JSON.stringify({ address: `127.0.0.1:${server.address().port}` }));

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
