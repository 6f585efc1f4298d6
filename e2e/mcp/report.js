// report prints one line.
export function report(...words) {
  console.log(words.join(' '));
}

// reportingFetch is fetch, and reports each request when it is answered: method, address without its origin if that is
// the MCP server's, status, and what is worth knowing of the request and the answer.
export function reportingFetch(home) {
  return async (address, init = {}) => {
    const response = await fetch(address, init);
    const url = new URL(address);
    const where = url.origin === home ? url.pathname : `as:${url.pathname}`;
    const method = init.method ?? 'GET';
    const words = [method, where, response.status, ...subject(init.body)];
    const challenge = response.headers.get('WWW-Authenticate');
    if (challenge !== null) {
      words.push(challenge);
    }
    report(...words);
    return response;
  };
}

// subject says what a body is about: the JSON-RPC method and the tool, or the grant and what it is for.
function subject(body) {
  if (body instanceof URLSearchParams) {
    return [body.get('grant_type'), ...['resource', 'scope'].filter((name) => body.has(name))
      .map((name) => `${name}=${body.get(name)}`)];
  }
  if (typeof body !== 'string') {
    return [];
  }
  const { method, params, scope } = JSON.parse(body);
  return [method, params?.name, scope].filter((word) => word !== undefined);
}
