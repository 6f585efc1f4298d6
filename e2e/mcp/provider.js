import { report } from './report.js';
import { authorize } from './user.js';

// Provider keeps what a client of the SDK learns, in memory, and sends its user to the authorization server.
export class Provider {
  redirectUrl = 'http://127.0.0.1/callback';

  constructor(grants = ['authorization_code', 'refresh_token']) {
    this.clientMetadata = {
      client_name: 'e2e',
      redirect_uris: [this.redirectUrl],
      grant_types: grants,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  clientInformation() { return this.client; }

  saveClientInformation(client) { this.client = client; }

  tokens() { return this.granted; }

  saveTokens(granted) { this.granted = granted; }

  codeVerifier() { return this.verifier; }

  saveCodeVerifier(verifier) { this.verifier = verifier; }

  async redirectToAuthorization(url) {
    const asked = url.searchParams;
    report('authorize', asked.get('code_challenge_method'), `resource=${asked.get('resource')}`,
      `scope=${asked.get('scope')}`);
    const answer = await authorize(url, this.redirectUrl);
    if (!answer.has('code')) {
      throw new Error(`no code: ${answer}`);
    }
    this.code = answer.get('code');
  }
}
