import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { StateError } from './state-error.ts';
import { STATEMENT_LENGTH_MAX } from './statement.ts';

/**
 * Verifies a signed statement and gives its payload.
 *
 * Synchronous. Only the compact form, only EdDSA with Ed25519, only a header of exactly `alg`, `kid`
 * and `typ`: nothing in it can choose another algorithm or bring a key (RFC 8725 §3.1).
 *
 * @param jws at most 16 Mi characters
 * @param options `type` the only `typ` taken; `keys` public JWKs with `kid`, known beforehand
 * @returns the payload, parsed from JSON and otherwise unchecked
 * @throws {StateError} `ERR_STATE_STATEMENT_SIZE`, `_MALFORMED`, `_TYPE`, `_KEY` or `_SIGNATURE`
 * @see RFC 7515 §5.2; RFC 8037 §3.1
 */
export function verifyStatement(
  jws: string,
  options: { readonly type: string; readonly keys: readonly Readonly<Record<string, string>>[] },
): unknown {
  if (jws.length > STATEMENT_LENGTH_MAX) {
    throw new StateError(
      'ERR_STATE_STATEMENT_SIZE',
      `could not verify statement: found ${jws.length} characters, expected at most ${STATEMENT_LENGTH_MAX}`,
    );
  }
  const [header, payload, signature, ...more] = jws.split('.', 4);
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) {
    throw malformed('found another number of parts than 3');
  }
  if (header.length > HEADER_LENGTH_MAX) throw malformed('found an oversized header');
  const { kid, typ } = readHeader(header);
  if (typ !== options.type) {
    throw new StateError(
      'ERR_STATE_STATEMENT_TYPE',
      `could not verify statement: found type '${typ.slice(0, 100)}', expected '${options.type}'`,
    );
  }
  const key = keyOf(kid, options.keys);
  const signed = Buffer.from(jws.slice(0, header.length + 1 + payload.length), 'latin1');
  // RFC 7515 §5.2 step 8: what is verified are the octets as received.
  if (!verify(null, signed, key, decode(signature, 'signature'))) {
    throw new StateError(
      'ERR_STATE_STATEMENT_SIGNATURE',
      `could not verify statement: the signature is not by key '${kid.slice(0, 100)}'`,
    );
  }
  return parseJson(decode(payload, 'payload'), 'payload');
}

const HEADER_LENGTH_MAX = 1024;

function readHeader(encoded: string): { kid: string; typ: string } {
  const header = parseJson(decode(encoded, 'header'), 'header');
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw malformed('found a header that is no object');
  }
  const { alg, kid, typ, ...others } = header as Record<string, unknown>;
  // RFC 7515 §4.1.11: `crit` is among the others, and not understood.
  const [other] = Object.keys(others);
  if (other !== undefined) throw malformed(`found the header '${other.slice(0, 100)}'`);
  if (alg !== 'EdDSA') throw malformed(`found another algorithm than EdDSA`);
  if (typeof kid !== 'string' || typeof typ !== 'string') throw malformed('found no kid or typ');
  return { kid, typ };
}

function keyOf(kid: string, keys: readonly Readonly<Record<string, string>>[]): KeyObject {
  const found = keys.filter((key) => key['kid'] === kid);
  const [jwk] = found;
  if (jwk === undefined || found.length > 1) {
    throw new StateError(
      'ERR_STATE_STATEMENT_KEY',
      `could not verify statement: found ${found.length} keys '${kid.slice(0, 100)}', expected 1`,
    );
  }
  const { kty, crv, x } = jwk;
  try {
    if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) throw new TypeError('other kind');
    return createPublicKey({ format: 'jwk', key: { kty, crv, x } });
  } catch (cause) {
    throw new StateError(
      'ERR_STATE_STATEMENT_KEY',
      `could not verify statement: key '${kid.slice(0, 100)}' is no Ed25519 JWK`,
      { cause },
    );
  }
}

/** Strict: no padding, no other alphabet, no stray bits; Node's decoder alone skips what it does not know. */
function decode(text: string, part: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) {
    throw malformed(`found a ${part} that is not base64url`);
  }
  return bytes;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parseJson(bytes: Uint8Array, part: string): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new StateError(
      'ERR_STATE_STATEMENT_MALFORMED',
      `could not verify statement: found a ${part} that is not JSON`,
      { cause },
    );
  }
}

function malformed(found: string): StateError {
  return new StateError(
    'ERR_STATE_STATEMENT_MALFORMED',
    `could not verify statement: ${found}, expected a compact JWS with exactly alg, kid and typ`,
  );
}
