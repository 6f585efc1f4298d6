import { exportJWK, generateKeyPair } from 'jose';

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];

// KeyRing holds the signing keys, one set for each generation, newest first:
// oidc-provider signs with the first key that fits.
export class KeyRing {
  #sets = [];
  #generation = 0;

  async rotate() {
    this.#sets.unshift(await this.#generate(this.#generation + 1));
  }

  // replace withdraws all keys and has new ones in their place.
  async replace() {
    this.#sets = [await this.#generate(this.#generation + 1)];
  }

  // replaceSame does so under the key ids of the newest.
  async replaceSame() {
    this.#sets = [await this.#generate(this.#generation)];
  }

  async #generate(generation) {
    const keys = await Promise.all(algorithms.map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return {
        ...await exportJWK(privateKey), alg, use: 'sig', kid: `${alg}-${generation}`,
      };
    }));
    this.#generation = generation;
    return keys;
  }

  retire() {
    this.#sets.length = 1;
  }

  jwks() {
    return { keys: this.#sets.flat() };
  }
}
