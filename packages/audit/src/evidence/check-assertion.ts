import type { EvidenceCheck } from '@countersign/ledger';
import type { DecisionEvent, Event } from '@countersign/model';
import { verifyAssertion } from '@countersign/sdk';
import { checkOperation } from './check-operation.ts';

type Check = Omit<EvidenceCheck, 'role'>;
type Assertion = NonNullable<DecisionEvent['assertion']>;

/** How long before the request the statement may have been made: a person reads, and reaches for a key. */
const STATEMENT_AGE_MS = 300_000;
const SKEW_MS = 5_000;

/**
 * Whether a person's authenticator signed this very transaction: the assertion by the key that the record holds, and its statement
 * against the event. Whose that key was is for an `authenticator` entry to say.
 *
 * @see WebAuthn Level 3 §7.2
 */
export function checkAssertion(assertion: Assertion, event: DecisionEvent): Check {
  const { publicKey, rpId, origins, ...signed } = assertion;
  const { credentialId } = signed;
  const subject = event.subject ?? '';
  const found = verifyAssertion(signed, { credentialId, publicKey, rpId, origins, subject });
  const bad = (detail: string): Check => ({ part: 'assertion', result: 'bad', detail });
  if (found.kind === 'unfit') return bad(found.detail);
  const { statement, algorithm, origin, isBackedUp, signCount } = found;
  const { method, targetUri: uri, createdSeconds } = statement;
  const fault = checkOperation({ method, uri }, event);
  if (fault) return { part: 'assertion', ...fault };
  const ageMs = event.at - createdSeconds * 1000;
  if (ageMs < -SKEW_MS || ageMs > STATEMENT_AGE_MS + SKEW_MS) {
    return bad('it was not made when the event happened');
  }
  const shown = [statement.amount, statement.creditor && `to '${statement.creditor}'`];
  const what = [method, uri, ...shown.filter((each) => each !== undefined)].join(' ');
  const how = `${algorithm}, ${isBackedUp ? 'a key that is backed up' : 'a key of one device'}, count ${signCount}`;
  return {
    part: 'assertion',
    result: 'good',
    detail: `${what}, approved by ${statement.subject} at ${origin} (${how})`,
  };
}

/** The authority's word that this authenticator was registered for this person, before, and had not been withdrawn. */
export function checkAuthenticator(event: Event, subject: Event): Check {
  const assertion = subject.kind === 'decision' ? subject.assertion : undefined;
  const bad = (detail: string): Check => ({ part: 'authenticator', result: 'bad', detail });
  if (event.kind !== 'administration') return bad('it registers no authenticator');
  // A point must not speak for the authority: whoever owns one could register what it likes in its own log.
  if (event.origin !== `${subject.origin.split('/')[0]}/authority`) {
    return bad(`it is of '${event.origin}', which is not the authority's log`);
  }
  const { credentialId, publicKey, rpId, origins } = event.detail ?? {};
  if (!assertion || credentialId !== assertion.credentialId) {
    return bad('it is of another authenticator');
  }
  if (event.action === 'credential-withdrawn' && event.at <= subject.at) {
    return bad(`it was withdrawn ${new Date(event.at).toISOString()}`);
  }
  if (event.action !== 'credential-registered') return bad('it registers no authenticator');
  const holder = subject.kind === 'decision' ? subject.subject : undefined;
  if (event.target !== holder) {
    // One who is sealed in only one of them may be the same.
    const isKnown = ![event.target, holder].some((name) => name?.includes('/pn-'));
    const detail = `it is of '${event.target}'`;
    return isKnown ? bad(detail) : { part: 'authenticator', result: 'unknown', detail };
  }
  const isSame =
    publicKey === assertion.publicKey &&
    rpId === assertion.rpId &&
    JSON.stringify(origins) === JSON.stringify(assertion.origins);
  if (!isSame) return bad('it is of another key, domain or origin than the record holds');
  if (event.at > subject.at) return bad('it was registered only after the event happened');
  const at = new Date(event.at).toISOString();
  return { part: 'authenticator', result: 'good', detail: `registered for '${holder}' ${at}` };
}
