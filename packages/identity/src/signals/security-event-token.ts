import type { SubjectIdentifier } from './subject-identifier.ts';

/** One security event, before it is signed: exactly one to a token (CAEP Interoperability Profile 1.0 §2.5). */
export interface SecurityEvent {
  /** Unique at its issuer: a receiver that has it already drops it. */
  readonly jti: string;
  /** When it was told first, ms since the epoch. */
  readonly atMs: number;
  /** What it belongs together with; the id of the event in the record. */
  readonly txn?: string;
  readonly subject: SubjectIdentifier;
  /** URI. */
  readonly type: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A key that signs security event tokens. */
export interface SignalSigner {
  readonly kid: string;
  readonly alg: 'RS256';
  /** Public, with `kid`, `alg` and `use`. */
  readonly publicJwk: Readonly<Record<string, unknown>>;
  sign(input: Uint8Array): Uint8Array;
}

/** For whom, and from whom. */
export interface TokenParties {
  readonly issuer: string;
  readonly audience: string;
}

/**
 * Makes the signed token of an event.
 *
 * @returns a JWS in compact serialisation
 * @see RFC 8417 §2.2; OpenID Shared Signals Framework 1.0 §4.1: `typ`, `sub_id`, neither `sub` nor `exp`
 */
export function signSecurityEvent(
  event: SecurityEvent,
  { issuer, audience }: TokenParties,
  signer: SignalSigner,
): string {
  const header = { alg: signer.alg, kid: signer.kid, typ: 'secevent+jwt' };
  const payload = {
    iss: issuer,
    jti: event.jti,
    iat: Math.floor(event.atMs / 1000),
    aud: audience,
    ...(event.txn !== undefined && { txn: event.txn }),
    sub_id: event.subject,
    events: { [event.type]: event.claims },
  };
  const input = `${encoded(header)}.${encoded(payload)}`;
  const signature = signer.sign(Buffer.from(input, 'ascii'));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
