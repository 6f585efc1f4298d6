// A user without a browser: follows redirects from the authorization endpoint, keeps cookies, and stops at the client.

// authorize gives the parameters with which the authorization server sends the user back to the client.
export async function authorize(authorizationUrl, redirectUrl) {
  const cookies = new Map();
  let url = new URL(authorizationUrl);
  for (let hops = 0; hops < 20; hops += 1) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    const location = response.headers.get('Location');
    if (location === null) {
      throw new Error(`${url}: ${response.status} ${await response.text()}`);
    }
    url = new URL(location, url);
    if (url.href.startsWith(redirectUrl)) {
      return url.searchParams;
    }
  }
  throw new Error('too many redirects');
}
