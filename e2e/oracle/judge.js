// A second opinion about tokens: the npm package jose, which shares no code
// with the gateway. The first line of the input is what a token is held to,
//
//   {"now": seconds, "policies": {name: {"issuer", "audience", "algorithms", "keys": [JWK]}}}
//
// and each further line a token, {"policy": name, "token": its bytes in base64}.
// Each of these is answered with one line: {"accepted": false, "error"} or
// {"accepted": true, "claims": {"iss", "sub", "aud", "exp", "scope"}}.
import { createInterface } from 'node:readline'
import { createLocalJWKSet, importJWK, jwtVerify } from 'jose'

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
let policies

for await (const line of lines) {
  const message = JSON.parse(line)
  if (policies === undefined) {
    policies = await prepare(message)
    continue
  }
  // One character for each byte: HTTP fields are no UTF-8 either.
  const token = Buffer.from(message.token, 'base64').toString('latin1')
  console.log(JSON.stringify(await judge(token, policies[message.policy])))
}

async function prepare ({ now, policies }) {
  const prepared = {}
  for (const [name, { issuer, audience, algorithms, keys }] of Object.entries(policies)) {
    prepared[name] = {
      find: keys[0].kty === 'oct' ? await secrets(keys) : createLocalJWKSet({ keys }),
      options: {
        issuer, audience, algorithms, requiredClaims: ['exp'], clockTolerance: 0, currentDate: new Date(now * 1000)
      }
    }
  }
  return prepared
}

// secrets finds shared secrets as createLocalJWKSet, which refuses them, finds
// public keys: by algorithm, and by key id if the token has one.
async function secrets (keys) {
  const imported = await Promise.all(keys.map(async (jwk) => ({ ...jwk, secret: await importJWK(jwk) })))
  return ({ alg, kid }) => {
    const key = imported.find((key) => key.alg === alg && (kid === undefined || kid === key.kid))
    if (key === undefined) {
      throw new Error('no such secret')
    }
    return key.secret
  }
}

async function judge (token, { find, options }) {
  try {
    const { payload } = await verify(token, find, options)
    return { accepted: true, claims: plain(payload) }
  } catch (error) {
    return { accepted: false, error: error.code ?? `${error}` }
  }
}

async function verify (token, find, options) {
  try {
    return await jwtVerify(token, find, options)
  } catch (error) {
    if (error.code !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') {
      throw error
    }
    let wrong = error
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options)
      } catch (failure) {
        if (failure.code !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') {
          throw failure // this is the key; something else is wrong
        }
        wrong = failure
      }
    }
    throw wrong
  }
}

// plain writes what the specifications let be written in several ways in one.
function plain ({ iss, sub, aud, exp, scope, scp }) {
  const scopes = (value) => typeof value === 'string' ? value.split(' ') : value ?? []
  return {
    iss,
    sub: sub ?? '',
    aud: [aud].flat(),
    exp,
    scope: [...scopes(scope), ...scopes(scp)].filter((one) => one !== '')
  }
}
