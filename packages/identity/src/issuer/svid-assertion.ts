import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '@countersign/model';
import { SpiffeError, type VerifiedJwtSvid, verifyJwtSvid } from '@countersign/spiffe';
import { SignJWT } from 'jose';
import type { Registry } from '../registry.ts';
import type { SvidBundles } from './svid-bundles.ts';

/** draft-ietf-oauth-spiffe-client-auth, "Client Authentication with JWT-SVIDs". */
export const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
/** RFC 7523 §2.2. */
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const BODY_BYTES_MAX = 56 * 1024;

/** What becomes of a token request: its form, as the provider knows assertions, or why not. */
export type Translated =
  | { readonly kind: 'form'; readonly form: string }
  | { readonly kind: 'refused'; readonly detail: string };

interface SvidAssertionsOptions {
  readonly bundles: SvidBundles;
  readonly registry: Pick<Registry, 'client'>;
  readonly issuerUrl: string;
  readonly secondsMax: number;
  readonly now: Clock;
}

/**
 * Client authentication with JWT-SVIDs. `oidc-provider` knows the assertions of RFC 7523 only, so what has been verified here
 * goes on as one of those, signed with a key that exists in this process alone and that is the registered key of these
 * clients: nothing is believed without having come through here, and the provider's checks all run.
 */
export class SvidAssertions {
  readonly #options: SvidAssertionsOptions;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  /** The key that clients of `spiffe_jwt` have at the provider. */
  readonly publicJwk: Readonly<Record<string, unknown>> = {
    ...this.#keys.publicKey.export({ format: 'jwk' }),
    ...{ alg: 'ES256', use: 'sig' },
  };

  constructor(options: SvidAssertionsOptions) {
    this.#options = options;
  }

  /** Verifies the JWT-SVID of a token request; a form that has none stays as it is. */
  async translate(form: string): Promise<Translated> {
    const fields = new URLSearchParams(form);
    // Of a field that is there twice the provider says what is wrong with it.
    const [type, ...types] = fields.getAll('client_assertion_type');
    const [assertion, ...assertions] = fields.getAll('client_assertion');
    if (type !== JWT_SPIFFE || types.length > 0) return { kind: 'form', form };
    if (assertion === undefined || assertions.length > 0) return { kind: 'form', form };
    const verified = this.#verify(assertion);
    if (typeof verified === 'string') return { kind: 'refused', detail: verified };
    fields.set('client_assertion_type', JWT_BEARER);
    fields.set('client_assertion', await this.#sign(verified));
    return { kind: 'form', form: fields.toString() };
  }

  /** The verified SVID of a client that is registered for it, or why there is none. */
  #verify(assertion: string): VerifiedJwtSvid | string {
    const { bundles, registry, issuerUrl, secondsMax, now } = this.#options;
    let svid: VerifiedJwtSvid;
    try {
      svid = verifyJwtSvid(assertion, { audience: issuerUrl, bundles: bundles.jwt, now });
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
      return `${error.code} ${error.message}`;
    }
    const { uri } = svid.spiffeId;
    // A second audience could bring the token here as the client (draft-ietf-oauth-rfc7523bis).
    if (svid.audiences.length !== 1) {
      return `the jwt-svid of '${uri}' has ${svid.audiences.length} audiences, expected the issuer alone`;
    }
    if (svid.expiresAtMs > now() + secondsMax * 1000) {
      return `the jwt-svid of '${uri}' ends more than ${secondsMax} s ahead`;
    }
    const authentication = registry.client(uri)?.client.authentication;
    if (authentication === undefined) return `'${uri}' is not registered as a client`;
    if (authentication !== 'spiffe_jwt') return `'${uri}' authenticates by ${authentication}`;
    return svid;
  }

  #sign({ spiffeId, claims, keyId, expiresAtMs }: VerifiedJwtSvid): Promise<string> {
    const { jti } = claims;
    // SPIFFE leaves jti out and vendors hand a JWT-SVID out more than once: with one it is good once, without
    // one as often as its short life allows.
    const once = createHash('sha256').update(`${keyId}\n${jti}`).digest('base64url');
    return new SignJWT({
      iss: spiffeId.uri,
      sub: spiffeId.uri,
      aud: this.#options.issuerUrl,
      jti: jti === undefined ? randomUUID() : once,
      exp: Math.floor(expiresAtMs / 1000),
    })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(this.#keys.privateKey);
  }
}

/** The body of a token request; nothing when it is longer than the provider takes, 56 KiB. */
export async function readForm(request: Readable): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed when it is too long: the answer goes over the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > BODY_BYTES_MAX) return undefined;
  }
  return Buffer.concat(chunks).toString('utf8');
}
