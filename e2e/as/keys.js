import { exportJWK, generateKeyPair } from 'jose';

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];

// KeyRing holds the signing keys, one set for each generation, newest first:
// oidc-provider signs with the first key that fits.
export class KeyRing {
  #sets = [];
  #generation = 0;

  async rotate() {
    this.#generation += 1;
    const keys = algorithms.map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return {
        ...await exportJWK(privateKey), alg, use: 'sig', kid: `${alg}-${this.#generation}`,
      };
    });
    this.#sets.unshift(await Promise.all(keys));
  }

  retire() {
    this.#sets.length = 1;
  }

  jwks() {
    return { keys: this.#sets.flat() };
  }
}
