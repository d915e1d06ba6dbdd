import { type Fact, subjectFromId } from '@countersign/model';
import { isCredentialKey, type RegisteredCredential } from '@countersign/sdk';
import type { FactLog, Transaction } from '@countersign/state';
import type { Recorder } from './new-event.ts';
import { type Refusal, refusal } from './refusal.ts';

/** What became of registering or withdrawing an authenticator. */
export type CredentialResult = Refusal | { readonly isGranted: true };

/** WebAuthn Level 3 §5.1: at most 1023 bytes. */
const CREDENTIAL_ID = /^[A-Za-z0-9_-]{8,1364}$/;
const DOMAIN = /^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/;

/** People's authenticators: whose they are; the callers change them one at a time. */
export class Credentials {
  readonly #factLog: FactLog;
  readonly #record: Recorder;

  constructor(options: { readonly factLog: FactLog; readonly record: Recorder }) {
    this.#factLog = options.factLog;
    this.#record = options.record;
  }

  /** One of them. */
  get(credentialId: string): RegisteredCredential | undefined {
    const fact = this.#factLog.get(`credential ${credentialId}`);
    if (fact?.kind !== 'credential') return undefined;
    const { publicKey, rpId, origins, subject } = fact;
    return { credentialId, publicKey, rpId, origins, subject };
  }

  /** All that are registered, in the order of their IDs. */
  all(): readonly RegisteredCredential[] {
    return this.#factLog
      .all()
      .flatMap((fact) => (fact.kind === 'credential' ? [fact] : []))
      .map(({ id: credentialId, publicKey, rpId, origins, subject }) => ({
        ...{ credentialId, publicKey, rpId, origins, subject },
      }))
      .toSorted((a, b) => (a.credentialId < b.credentialId ? -1 : 1));
  }

  /**
   * @param more what to record of it beside, and what to write in the transaction that gives it out
   */
  async register(
    credential: RegisteredCredential,
    by: string,
    more: {
      readonly detail?: Readonly<Record<string, string | number | boolean>>;
      readonly also?: (transaction: Transaction) => Promise<void>;
    } = {},
  ): Promise<CredentialResult> {
    const { credentialId: id, publicKey, rpId, origins, subject } = credential;
    const fault = credentialFault(credential);
    if (fault !== undefined) return refusal('credential-malformed', fault);
    const holder = this.#factLog.get(`subject ${subject}`);
    if (holder?.kind !== 'subject') {
      return refusal('subject-unregistered', `found ${subject}, expected a registered person`);
    }
    if (!holder.enabled) return refusal('subject-disabled', `found ${subject}`);
    const { kind } = subjectFromId(subject);
    if (kind !== 'human' && kind !== 'customer') {
      return refusal('credential-malformed', `found ${subject}, expected a person`);
    }
    // An ID that moved to another person, or key, could be read back into what was approved before.
    if (this.#factLog.get(`credential ${id}`)) {
      return refusal('credential-registered', `found credential '${id}': withdraw it first`);
    }
    const detail = { credentialId: id, publicKey, rpId, origins: [...origins], ...more.detail };
    // Before: trust that cannot be recorded is not given.
    await this.#record({
      kind: 'administration',
      action: 'credential-registered',
      by,
      target: subject,
      detail,
    });
    const fact: Fact = { kind: 'credential', id, publicKey, rpId, origins: [...origins], subject };
    await this.#factLog.append({ puts: [fact] }, more.also && { also: more.also });
    return { isGranted: true };
  }

  /** @param also what to write in the transaction that takes it out */
  async withdraw(
    credentialId: string,
    by: string,
    also?: (transaction: Transaction) => Promise<void>,
  ): Promise<CredentialResult> {
    const key = `credential ${credentialId}`;
    const fact = this.#factLog.get(key);
    if (fact?.kind !== 'credential') {
      return refusal('not-found', `found no credential '${credentialId}'`);
    }
    await this.#factLog.append({ removes: [key] }, also && { also });
    await this.#record({
      kind: 'administration',
      action: 'credential-withdrawn',
      by,
      target: fact.subject,
      detail: { credentialId },
    });
    return { isGranted: true };
  }
}

/** What is wrong with a credential by itself; nothing when it can be registered. */
export function credentialFault({
  credentialId,
  publicKey,
  rpId,
  origins,
}: RegisteredCredential): string | undefined {
  if (!CREDENTIAL_ID.test(credentialId)) return 'found a credential ID that is no base64url';
  if (!isCredentialKey(publicKey)) {
    return 'found a public key that is no COSE_Key of ES256, EdDSA or RS256';
  }
  if (!DOMAIN.test(rpId)) return `found RP ID '${rpId}', expected a domain`;
  if (origins.length === 0) return 'found no origins';
  const odd = origins.find((origin) => !isOriginOf(origin, rpId));
  return odd === undefined
    ? undefined
    : `found origin '${odd}', expected https at '${rpId}' or below it`;
}

/** WebAuthn Level 3 §5.1.4.1 step 8: the RP ID is the origin's domain, or a suffix of it. */
function isOriginOf(origin: string, rpId: string): boolean {
  const url = URL.parse(origin);
  if (url?.protocol !== 'https:' || url.origin !== origin) return false;
  return url.hostname === rpId || url.hostname.endsWith(`.${rpId}`);
}
