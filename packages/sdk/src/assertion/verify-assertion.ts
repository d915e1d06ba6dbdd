import { hash, verify } from 'node:crypto';
import { type AuthenticatorData, readAuthenticatorData } from './authenticator-data.ts';
import { credentialKey } from './cose-key.ts';
import type { TransactionAssertion } from './transaction-assertion.ts';
import {
  parseTransactionStatement,
  type TransactionStatement,
  transactionChallenge,
} from './transaction-statement.ts';

/** A person's authenticator as it was registered. Bytes in base64url. */
export interface RegisteredCredential {
  readonly credentialId: string;
  /** COSE_Key: ES256, EdDSA on Ed25519, or RS256. */
  readonly publicKey: string;
  /** The domain that the credential is for: `bank.example`. */
  readonly rpId: string;
  /** Where assertions may be made: `https://pay.bank.example`. */
  readonly origins: readonly string[];
  /** The person's SPIFFE ID. */
  readonly subject: string;
}

/** An assertion that verifies, and what it says. Whether it is of this request, and in time, is still to be compared. */
export interface VerifiedAssertion extends Omit<AuthenticatorData, 'rpIdHash'> {
  readonly kind: 'verified';
  readonly statement: TransactionStatement;
  readonly origin: string;
  readonly algorithm: 'ES256' | 'EdDSA' | 'RS256';
}

/** An assertion that does not count, and why. */
export interface UnfitAssertion {
  readonly kind: 'unfit';
  readonly detail: string;
}

const ALGORITHMS = { [-7]: 'ES256', [-8]: 'EdDSA', [-257]: 'RS256' } as const;

/**
 * Verifies what a person's authenticator signed, against the credential that was registered for that person. The signature
 * counter is read and not judged: an authenticator whose keys are copied has none.
 *
 * @returns never throws for what the assertion or the registration holds
 * @see WebAuthn Level 3 §7.2
 */
export function verifyAssertion(
  assertion: TransactionAssertion,
  credential: RegisteredCredential,
): VerifiedAssertion | UnfitAssertion {
  // Steps 5 and 6: the credential is the one that was registered for this person.
  if (assertion.credentialId !== credential.credentialId)
    return unfit('it is by another credential');
  const { authenticatorData, clientDataJson, signature: value } = assertion;
  // Else one assertion could be written, and kept, in several ways.
  if (![authenticatorData, clientDataJson, value, credential.publicKey].every(isOneForm)) {
    return unfit('its bytes are not base64url in one form');
  }
  const statement = parseTransactionStatement(assertion.statement);
  if (!statement) return unfit('its statement is none');
  if (statement.subject !== credential.subject) return unfit('it is for another person');
  const clientData = Buffer.from(clientDataJson, 'base64url');
  const fault = clientDataFault(clientData, assertion.statement, credential.origins);
  if (fault !== undefined) return unfit(fault);
  const bytes = Buffer.from(authenticatorData, 'base64url');
  const data = readAuthenticatorData(bytes);
  if (!data) return unfit('its authenticator data are none');
  const { rpIdHash, ...said } = data;
  // Step 16.
  if (Buffer.from(rpIdHash).toString('hex') !== hash('sha256', credential.rpId, 'hex')) {
    return unfit(`it is not for '${credential.rpId}'`);
  }
  // Steps 17 and 18.
  if (!said.isUserPresent) return unfit('nobody was there');
  if (!said.isUserVerified) return unfit('the authenticator did not verify the person');
  const registered = credentialKey(Buffer.from(credential.publicKey, 'base64url'));
  if (!registered) return unfit('the registered key is none of ES256, EdDSA, RS256');
  // Steps 21 and 22.
  const message = Buffer.concat([bytes, hash('sha256', clientData, 'buffer')]);
  const algorithm = registered.algorithm === -8 ? null : 'sha256';
  const signature = Buffer.from(value, 'base64url');
  if (!verify(algorithm, message, registered.key, signature)) {
    return unfit('the signature is not of the registered key');
  }
  const { origin } = JSON.parse(clientData.toString('utf8'));
  return {
    kind: 'verified',
    statement,
    ...said,
    origin,
    algorithm: ALGORITHMS[registered.algorithm],
  };
}

/** Steps 9 to 14. */
function clientDataFault(
  bytes: Buffer,
  statement: string,
  origins: readonly string[],
): string | undefined {
  let data: unknown;
  try {
    data = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 'its client data are no JSON';
  }
  if (typeof data !== 'object' || data === null) return 'its client data are no object';
  const { type, challenge, origin, crossOrigin } = data as Readonly<Record<string, unknown>>;
  if (type !== 'webauthn.get') return 'it is no assertion';
  if (challenge !== transactionChallenge(statement)) return 'it is over another transaction';
  if (typeof origin !== 'string' || !origins.includes(origin)) {
    return `it was made at another origin than ${origins.join(', ')}`;
  }
  // Another page could have framed the one that showed the transaction.
  return crossOrigin === true ? 'it was made inside another page' : undefined;
}

function isOneForm(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

function unfit(detail: string): UnfitAssertion {
  return { kind: 'unfit', detail };
}
