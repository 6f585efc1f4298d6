import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { Readable } from 'node:stream';

// through gives a fetch that sends requests for any host to the gateway's socket.
export function through(socketPath) {
  return fetchWith(plainRequest, { socketPath });
}

// overTLS gives a fetch that shows a certificate, if the options have one. With a socketPath, requests for any host go
// there. Each request has a connection of its own.
export function overTLS(options) {
  return fetchWith(tlsRequest, { ...options, agent: false });
}

function fetchWith(request, options) {
  return async (address, { method, headers, body }) => {
    const url = new URL(address);
    const answer = await new Promise((resolve, reject) => {
      request({
        host: url.hostname, port: url.port, ...options, method, path: url.pathname + url.search,
        headers: { ...headers, host: url.host },
      }, resolve).on('error', reject).end(body ? String(body) : undefined);
    });
    return new Response(Readable.toWeb(answer), { status: answer.statusCode, headers: pairs(answer.rawHeaders) });
  };
}

function pairs(list) {
  return list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1]]] : []));
}
