import { createPublicKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import type { EvidenceCheck, VerifiedEvidenceEntry } from '@countersign/ledger';
import { type DecisionEvent, decodeEvent, type Event, ModelError } from '@countersign/model';
import {
  checkDigests,
  contentDigests,
  isSignatureOf,
  keyThumbprint,
  parseTransactionStatement,
  SdkError,
} from '@countersign/sdk';
import { revealByOpenings } from '../privacy/reveal-event.ts';
import { checkAssertion, checkAuthenticator } from './check-assertion.ts';
import { checkDpopProof } from './check-dpop-proof.ts';
import { checkOperation } from './check-operation.ts';

/** What whoever verifies has beside the file. */
export interface EventEvidenceOptions {
  /** Tokens that a signature covers and the record therefore holds by hash only. */
  readonly tokens?: readonly string[];
  /** The content of the request, to be compared with what was signed. */
  readonly content?: Uint8Array;
}

type Check = Omit<EvidenceCheck, 'role'>;
type Signature = NonNullable<DecisionEvent['signature']>;

/** RFC 9421 signatures are taken up to a minute after they were made, with 5 s of skew. */
const SIGNATURE_AGE_MS = 60_000;
const SKEW_MS = 5_000;

/**
 * Looks at what the entries of an evidence file say: that each is an event of its log, that the actor signed what the
 * decision tells of, and that its key was valid then. For {@link verifyEvidence} of `ledger`. Never throws for what an
 * entry holds.
 *
 * Parts: `event`, `sealed`, `signature`, `key`, `certificate`, `dpop`, `token`, `assertion`, `content`, `outcome`, `credential`, `authenticator`.
 */
export function checkEventEntries(
  entries: readonly VerifiedEvidenceEntry[],
  options: EventEvidenceOptions = {},
): readonly EvidenceCheck[] {
  const checks: EvidenceCheck[] = [];
  let subject: Event | undefined;
  for (const entry of entries) {
    const { role } = entry;
    const event = eventOf(entry, (check) => checks.push({ role, ...check }));
    const isSubject = entry === entries[0];
    if (isSubject) subject = event;
    if (!event || !subject) continue;
    const found = isSubject
      ? checkSubject(event, options)
      : checkSupport(role, event, subject).map((each) => unprovenIs(entry, each));
    checks.push(...found.map((check) => ({ role, ...check })));
  }
  if (subject?.kind === 'decision') checks.push(...checkAbsences(entries, subject));
  return checks;
}

/** What is left out must be told: a file is cut more easily than it is forged. */
function checkAbsences(
  entries: readonly VerifiedEvidenceEntry[],
  { signature, assertion }: DecisionEvent,
): readonly Check[] {
  const has = (wanted: string) => entries.some(({ role }, at) => at > 0 && role === wanted);
  const checks: Check[] = [];
  if (!has('outcome')) {
    const detail = 'the file holds none: whether the request reached the resource is not told';
    checks.push(check('outcome', 'unknown', detail));
  }
  if (signature?.keyFrom === 'dpop') {
    const detail =
      "the token says whose the signing key is, and is not in the record: see that token's issuer";
    checks.push(check('credential', 'unknown', detail));
  } else if (signature && !has('credential')) {
    const detail = 'the file holds none: whose the certificate is, nothing but itself says';
    checks.push(check('credential', 'unknown', detail));
  }
  if (assertion && !has('authenticator')) {
    const detail = 'the file holds none: whose the authenticator is, nothing but the record says';
    checks.push(check('authenticator', 'unknown', detail));
  }
  return checks;
}

/** What nobody's log holds supports nothing, and cannot be held against the subject either. */
function unprovenIs({ isProven }: VerifiedEvidenceEntry, found: Check): Check {
  if (isProven || found.result !== 'good') return found;
  return { ...found, result: 'unknown', detail: `${found.detail}, if its log says so` };
}

function eventOf(
  { entry, origin, index, isProven, openings }: VerifiedEvidenceEntry,
  add: (check: Check) => void,
): Event | undefined {
  let event: Event;
  try {
    event = decodeEvent(entry);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    add({ part: 'event', result: 'bad', detail: error.message.slice(0, 300) });
    return undefined;
  }
  const what = `${event.kind} '${event.id}' of ${timeOf(event.at)}${decided(event)}`;
  const isOwn = event.origin === origin && event.seq === index;
  if (!isProven) add(check('event', 'unknown', `${what}: nothing proves that a log holds it`));
  else if (isOwn) add(check('event', 'good', what));
  else {
    const place = `'${event.origin}' ${event.seq}, and stands in '${origin}' at ${index}`;
    add(check('event', 'bad', `it says ${place}`));
  }
  return opened(event, openings, add);
}

/** The event with what its openings open; they must open all of it or it is not known what it says. */
function opened(
  event: Event,
  openings: readonly Uint8Array[],
  add: (check: Check) => void,
): Event | undefined {
  const { sealed = [] } = event;
  if (sealed.length === 0 && openings.length === 0) return event;
  const found = revealByOpenings(event, openings);
  const parts = `${sealed.length - found.closed.length} of ${sealed.length} parts`;
  if (openings.length > sealed.length - found.closed.length) {
    add(check('sealed', 'bad', `an opening opens nothing of it: ${parts} opened`));
  } else if (found.closed.length > 0) {
    const detail = `${parts} opened: what names persons, and what they signed, stays closed`;
    add(check('sealed', 'unknown', detail));
  } else add(check('sealed', 'good', `${parts} opened`));
  return found.event;
}

function decided(event: Event): string {
  if (event.kind !== 'decision') return '';
  const { effect, reason, enforced, evidence = 'E0' } = event;
  return `: ${effect} (${reason})${enforced ? '' : ', not enforced'}, evidence ${evidence}`;
}

function checkSubject(event: Event, options: EventEvidenceOptions): readonly Check[] {
  // Only a request has an actor who could have signed.
  if (event.kind !== 'decision') return [];
  const { signature, signatureFault, dpop, assertion } = event;
  const checks: Check[] = [];
  if (dpop !== undefined) checks.push(checkDpopProof(dpop, event));
  if (assertion) {
    checks.push(checkAssertion(assertion, event));
    if (options.content !== undefined)
      checks.push(checkApproved(assertion.statement, options.content));
    // The person's authenticator is what signed then.
    if (!signature && signatureFault === undefined) return checks;
  }
  if (!signature) {
    const level = `evidence ${event.evidence ?? 'E0'}`;
    const isSealed = event.sealed !== undefined && (event.evidence ?? 'E0') >= 'E2';
    if (isSealed) return [...checks, check('signature', 'unknown', `it is sealed: ${level}`)];
    return [
      ...checks,
      signatureFault === undefined
        ? check('signature', 'unknown', `the caller did not sign: ${level}`)
        : check('signature', 'bad', `the point took none: ${signatureFault} (${level})`),
    ];
  }
  return [...checks, ...checkSignature(signature, event, options)];
}

function checkSignature(
  signature: Signature,
  event: DecisionEvent,
  { tokens = [], content }: EventEvidenceOptions,
): readonly Check[] {
  const key = importKey(signature);
  if (!key || thumbprintOf(key) !== signature.keyThumbprint) {
    return [check('key', 'bad', 'the key is none, or not the one that the thumbprint names')];
  }
  const checks = [check('key', 'good', `${signature.algorithm} ${signature.keyThumbprint}`)];
  const { signatureFault } = event;
  checks.push(
    signatureFault === undefined
      ? checkActorSignature(signature, key, event, tokens)
      : // The caller signed something, and something else came: that it signed must not pass for having asked.
        check('signature', 'bad', `the point did not take it: ${signatureFault}`),
  );
  if (signature.keyFrom === 'dpop') {
    const proof = lineOf(signature.base, 'dpop');
    checks.push(
      proof === undefined
        ? check('dpop', 'bad', 'the signature covers no DPoP proof')
        : checkDpopProof(proof, event, signature.keyThumbprint),
    );
  } else checks.push(checkCertificate(signature, event));
  checks.push(checkToken(signature, event));
  if (content !== undefined) checks.push(checkContent(signature, content, signatureFault));
  return checks;
}

function checkActorSignature(
  signature: Signature,
  key: KeyObject,
  event: DecisionEvent,
  tokens: readonly string[],
): Check {
  const { base, withheld = [], value } = signature;
  const whole = withheld.reduce<string | undefined>((text, { sha256 }) => {
    const token = tokens.find((each) => hash('sha256', each, 'base64url') === sha256);
    return token === undefined ? undefined : text?.replace(` ${sha256}\n`, ` ${token}\n`);
  }, base);
  if (whole === undefined) {
    const fields = withheld.map(({ field }) => field).join(', ');
    return check('signature', 'unknown', `it covers ${fields}: bring the token along to verify it`);
  }
  if (!isSignatureOf(whole, Buffer.from(value, 'base64'), key)) {
    return check('signature', 'bad', 'it is not of this key over what the event tells of');
  }
  if (lineOf(base, '@signature-params') !== signature.input) {
    return check('signature', 'bad', 'its parameters are not those that were signed');
  }
  const target = lineOf(base, '@target-uri');
  const fault = checkOperation({ method: lineOf(base, '@method'), uri: target }, event);
  if (fault) return check('signature', fault.result, fault.detail);
  const created = Number(/;created=([0-9]{1,15})(?:;|$)/.exec(signature.input)?.[1] ?? 0) * 1000;
  const ageMs = event.at - created;
  if (ageMs < -SKEW_MS || ageMs > SIGNATURE_AGE_MS + SKEW_MS) {
    return check('signature', 'bad', 'it was not made when the event happened');
  }
  return check(
    'signature',
    'good',
    `${event.method} ${target}, signed ${new Date(created).toISOString()}`,
  );
}

/** Whose certificate it is is for a `credential` entry, or for the authority that issued it, to say. */
function checkCertificate({ certificate, keyThumbprint: of }: Signature, { at }: Event): Check {
  if (certificate === undefined) return check('certificate', 'bad', 'the record holds none');
  let parsed: X509Certificate;
  let key: KeyObject;
  try {
    parsed = new X509Certificate(Buffer.from(certificate, 'base64'));
    key = parsed.publicKey;
  } catch {
    return check('certificate', 'bad', 'what the record holds is none');
  }
  if (thumbprintOf(key) !== of) {
    return check('certificate', 'bad', 'it is of another key than the signature');
  }
  // A certificate may have neither name.
  const names: string | undefined = parsed.subjectAltName ?? parsed.subject;
  const name = names?.replaceAll('\n', ', ') ?? 'it names nobody';
  return at >= parsed.validFromDate.getTime() && at <= parsed.validToDate.getTime()
    ? check('certificate', 'good', `${name}, valid until ${parsed.validToDate.toISOString()}`)
    : check('certificate', 'bad', 'it was not valid when the event happened');
}

/** The signature names the token that the event tells of, by a hash or through the DPoP proof. */
function checkToken(
  { base, withheld = [], keyFrom }: Signature,
  { tokenHash }: DecisionEvent,
): Check {
  if (tokenHash === undefined) return check('token', 'good', 'the caller came without one');
  const digest = Buffer.from(tokenHash, 'base64url').toString('base64');
  const isNamed =
    lineOf(base, 'token-digest')?.includes(`=:${digest}:`) ||
    withheld.some(({ sha256 }) => sha256 === tokenHash);
  if (isNamed) return check('token', 'good', `SHA-256 ${tokenHash}`);
  return keyFrom === 'dpop'
    ? check('token', 'good', 'through the DPoP proof')
    : check('token', 'bad', 'the signature covers another token than the event tells of');
}

function checkContent({ base }: Signature, content: Uint8Array, fault?: string): Check {
  const field = lineOf(base, 'content-digest');
  const digests = field === undefined ? undefined : digestsIn(field);
  if (!digests) return check('content', 'bad', 'the signature covers no content');
  const compare = checkDigests(digests);
  compare.update(content);
  if (!compare.matches()) return check('content', 'bad', 'it is not what was signed');
  return fault === undefined
    ? check('content', 'good', `${content.length} bytes`)
    : check('content', 'unknown', `it is what was signed, and not known to be what came: ${fault}`);
}

/** Content that was brought along, against the digest that the person approved. */
function checkApproved(statement: string, content: Uint8Array): Check {
  const approved = parseTransactionStatement(statement)?.contentSha256;
  return approved === hash('sha256', content, 'base64')
    ? check('content', 'good', `${content.length} bytes, as approved`)
    : check('content', 'bad', 'it is not what the person approved');
}

/** Nothing for a field that names none, or that cannot be read. */
function digestsIn(field: string): ReturnType<typeof contentDigests> {
  try {
    return contentDigests(['content-digest', field]);
  } catch (error) {
    if (error instanceof SdkError) return undefined;
    throw error;
  }
}

function checkSupport(role: string, event: Event, subject: Event): readonly Check[] {
  switch (role) {
    case 'outcome':
      return [checkOutcome(event, subject)];
    case 'credential':
      return [checkCredential(event, subject)];
    case 'authenticator':
      return [checkAuthenticator(event, subject)];
    default:
      return [check('role', 'bad', `'${role.slice(0, 64)}' is none that supports an event`)];
  }
}

function checkOutcome(event: Event, subject: Event): Check {
  const isOfIt =
    event.kind === 'outcome' &&
    subject.kind === 'decision' &&
    event.id === subject.id &&
    event.origin === subject.origin;
  if (!isOfIt) return check('outcome', 'bad', 'it is not of this decision');
  // Nothing is answered before it is decided; a decision in front of an old outcome was put there.
  if (event.at < subject.at || event.seq < subject.seq) {
    return check('outcome', 'bad', `it is of ${timeOf(event.at)}, before the decision`);
  }
  if (event.forwarded && subject.enforced && subject.effect !== 'permit') {
    return check('outcome', 'bad', `status ${event.status}, forwarded although it was refused`);
  }
  return check('outcome', 'good', `status ${event.status}, forwarded: ${event.forwarded}`);
}

/** The authority's word that it gave this certificate to this subject, before and for long enough. */
function checkCredential(event: Event, subject: Event): Check {
  const signature = subject.kind === 'decision' ? subject.signature : undefined;
  // Anybody can put another's certificate beside a DPoP key of its own.
  const certificate = signature?.keyFrom === 'dpop' ? undefined : signature?.certificate;
  const thumbprint = certificate && hash('sha256', Buffer.from(certificate, 'base64'), 'base64url');
  if (event.kind !== 'administration' || !CREDENTIALS.has(event.action)) {
    return check('credential', 'bad', 'it registers no credential');
  }
  // A point must not speak for the authority: whoever owns one could register what it likes in its own log.
  if (event.origin !== `${subject.origin.split('/')[0]}/authority`) {
    return check(
      'credential',
      'bad',
      `it is of '${event.origin}', which is not the authority's log`,
    );
  }
  // A partner's certificate says itself until when it is good; the authority says so of an SVID.
  const { thumbprint: registered, notAfterMs = Number.POSITIVE_INFINITY } = event.detail ?? {};
  if (!thumbprint || registered !== thumbprint) {
    return check('credential', 'bad', 'it is of another certificate');
  }
  const holder =
    subject.kind === 'decision' ? (subject.peer ?? subject.caller ?? subject.subject) : undefined;
  if (event.target !== holder) return check('credential', 'bad', `it is of '${event.target}'`);
  const isInForce = event.at <= subject.at && Number(notAfterMs) >= subject.at;
  return isInForce
    ? check('credential', 'good', `${event.action} for '${holder}' ${timeOf(event.at)}`)
    : check('credential', 'bad', 'it was not in force when the event happened');
}

const CREDENTIALS: ReadonlySet<string> = new Set(['svid-issued', 'certificate-registered']);

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function importKey({ key }: Signature): KeyObject | undefined {
  try {
    return createPublicKey({ key: { ...key }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** Nothing for a key that no JWK of ours names, such as RSA that is bound to PSS. */
function thumbprintOf(key: KeyObject): string | undefined {
  try {
    return keyThumbprint(key);
  } catch (error) {
    if (error instanceof SdkError) return undefined;
    throw error;
  }
}

/** The value of a component in a signature base; each stands on one line. */
function lineOf(base: string, name: string): string | undefined {
  const start = `"${name}": `;
  const line = base.split('\n').find((each) => each.startsWith(start));
  return line?.slice(start.length);
}

function check(part: string, result: Check['result'], detail: string): Check {
  return { part, result, detail };
}
