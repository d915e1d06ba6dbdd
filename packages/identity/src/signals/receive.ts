import type { Clock, Signal } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { JWTVerifyGetKey } from 'jose';
import type { Recorder } from '../new-event.ts';
import { deviceNames } from './device-names.ts';
import { type EventTypeName, eventTypeName, STREAM_UPDATED, VERIFICATION } from './event-types.ts';
import type { SignalTables } from './signal-tables.ts';
import { type SubjectIdentifier, subjectIdentifierShape } from './subject-identifier.ts';
import { type ReceivedSet, type SetError, type VerifiedSet, verifySet } from './verify-set.ts';

/** What a transmitter may bring about here. */
export type SignalRight = 'end-sessions' | 'disable' | 'device-posture';

/** A transmitter that the bank listens to. */
export interface SignalTransmitter {
  /** For people and the record. */
  readonly name: string;
  readonly issuer: string;
  /** `aud` that its tokens must have. */
  readonly audience: string;
  readonly keys: JWTVerifyGetKey;
  readonly may: readonly SignalRight[];
  /** The subject of ours that it names; nothing when there is none, or it is none that this transmitter speaks for. */
  subjectOf(identifier: SubjectIdentifier): Promise<string | undefined> | string | undefined;
}

/** What came of a word on whether somebody is enabled. */
export type AccountOutcome =
  | 'done'
  /** It was so already, or somebody else's doing. */
  | 'unchanged'
  /** A later word came before it. */
  | 'outdated'
  /** Its own doing is taken back; the organisation is cut off all the same. */
  | 'cut-off';

/** What is done about a signal. */
export interface SignalActions {
  /** Ends one session of the subject, or all of them; says how many. */
  endSessions(about: {
    readonly subject: string;
    readonly session?: string;
    /** Of the transmitter: whose word for a session it may be. */
    readonly issuer?: string;
    readonly reason: string;
    readonly by: string;
  }): Promise<number>;
  /** @param options `issuedMs` is when it was said: what is older than what `by` said last of the subject changes nothing */
  disable(
    subject: string,
    options: { readonly reason: string; readonly by: string; readonly issuedMs: number },
  ): Promise<Exclude<AccountOutcome, 'cut-off'>>;
  /** Only what `by` disabled. */
  enable(
    subject: string,
    options: { readonly by: string; readonly issuedMs: number },
  ): Promise<AccountOutcome>;
  /** Takes what is said of a device; false when the names lead to none, or to two. */
  noteCompliance?(about: {
    readonly source: string;
    readonly names: readonly string[];
    readonly isCompliant: boolean;
    readonly observedAtMs: number;
  }): Promise<boolean>;
  /** Facts of it, and playbooks. */
  respond(signal: Signal): Promise<void>;
  /** The risk that is known of a subject now. */
  riskOf(subject: string): Signal['level'];
}

/** What became of a token. */
export type Received =
  | { readonly isTaken: true; readonly outcome: string }
  | {
      readonly isTaken: false;
      /** None: it could not be judged, and is to come again. */
      readonly err: SetError | undefined;
      readonly description: string;
    };

/** How long a token is remembered: longer than it may be old. */
const REMEMBERED_MS = 8 * 86_400_000;

/** What receiving works with. */
export interface ReceiveOptions {
  readonly database: Database;
  readonly actions: SignalActions;
  readonly record: Recorder;
  readonly now: Clock;
  /** The state of the verification that was asked for, if one was; a stranger's word is refused. */
  readonly expectedState?: (transmitter: string) => string | undefined;
}

/**
 * Takes a token: verifies, acts, records, and only then answers. The same token again changes nothing and is taken again, since
 * its transmitter did not hear the first answer.
 */
export async function receiveSet(
  token: string,
  transmitter: SignalTransmitter,
  options: ReceiveOptions,
): Promise<Received> {
  const { database, record, now } = options;
  const verified: VerifiedSet = await verifySet(token, { ...transmitter, now });
  if (!verified.isGood)
    return { isTaken: false, err: verified.err, description: verified.description };
  const { set } = verified;
  const tables = database.tables<SignalTables>();
  const known = await tables
    .selectFrom('signal_received')
    .select('received_ms')
    .where('source', '=', transmitter.name)
    .where('jti', '=', set.jti)
    .executeTakeFirst();
  if (known) return { isTaken: true, outcome: 'known' };
  const by = `signals:${transmitter.name}`;
  for (const [type, claims] of Object.entries(set.events)) {
    const outcome = await act({ type, claims, set }, transmitter, { ...options, by });
    if (outcome.err !== undefined) {
      return { isTaken: false, err: outcome.err, description: outcome.text };
    }
    await record({
      ...{ kind: 'administration', action: 'signal-received', by },
      ...(outcome.subject !== undefined && { target: outcome.subject }),
      detail: {
        ...{ type: eventTypeName(type) ?? type.slice(0, 200), jti: set.jti, outcome: outcome.text },
        ...(set.txn !== undefined && { txn: set.txn }),
      },
    });
  }
  // After the deeds: a crash in between does them twice, which changes nothing, and never not at all.
  await tables
    .insertInto('signal_received')
    .values({ source: transmitter.name, jti: set.jti, received_ms: now() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await tables
    .deleteFrom('signal_received')
    .where('received_ms', '<', now() - REMEMBERED_MS)
    .execute();
  return { isTaken: true, outcome: 'done' };
}

interface Outcome {
  readonly text: string;
  readonly subject?: string;
  readonly err?: SetError;
}

async function act(
  {
    type,
    claims,
    set,
  }: { type: string; claims: Readonly<Record<string, unknown>>; set: ReceivedSet },
  transmitter: SignalTransmitter,
  options: ReceiveOptions & { readonly by: string },
): Promise<Outcome> {
  if (type === VERIFICATION) {
    const expected = options.expectedState?.(transmitter.name);
    const state = claims['state'];
    // §8.1.4.2: a state that was not asked for is an error; a transmitter may verify by itself, without one.
    if (state !== undefined && state !== expected) {
      return { err: 'invalid_state', text: 'found a state that was not asked for' };
    }
    return { text: 'verified' };
  }
  if (type === STREAM_UPDATED) return { text: `stream ${statusOf(claims['status']).slice(0, 20)}` };
  const name = eventTypeName(type);
  // §4.2.2: what is not known is ignored, and no error.
  if (name === undefined) return { text: 'unknown event type' };
  // RISC §2 of older transmitters: the subject stands in the event.
  const inEvent = subjectIdentifierShape.safeParse(claims['subject']);
  const identifier = inEvent.success ? inEvent.data : set.subject;
  if (name === 'device-compliance-change') {
    const noted = await noteCompliance({ claims, set, identifier }, transmitter, options);
    if (noted !== undefined) return noted;
  }
  const subject = await transmitter.subjectOf(identifier);
  if (subject === undefined) return { text: 'no such subject here' };
  return {
    subject,
    text: await answer(name, { claims, set, subject, identifier }, transmitter, options),
  };
}

/** CAEP 1.0 §3.5: what is said of a device of ours; nothing when it is about none, and playbooks may answer for its person. */
async function noteCompliance(
  {
    claims,
    set,
    identifier,
  }: {
    readonly claims: Readonly<Record<string, unknown>>;
    readonly set: ReceivedSet;
    readonly identifier: SubjectIdentifier;
  },
  { may, name }: SignalTransmitter,
  { actions, by, now }: ReceiveOptions & { readonly by: string },
): Promise<Outcome | undefined> {
  const status = claims['current_status'];
  const names = deviceNames(identifier);
  if (names.length === 0 || actions.noteCompliance === undefined) return undefined;
  if (status !== 'compliant' && status !== 'not-compliant') {
    return { text: 'no status that is known' };
  }
  if (!may.includes('device-posture')) return undefined;
  const seconds = claims['event_timestamp'];
  const saidMs = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : set.issuedAtMs;
  const isNoted = await actions.noteCompliance({
    ...{ source: by, names, isCompliant: status === 'compliant' },
    // Not later than it was said: its age is what it is good for.
    observedAtMs: Math.floor(Math.min(saidMs, set.issuedAtMs, now())),
  });
  return isNoted ? { text: `${name}: ${status}` } : undefined;
}

async function answer(
  name: EventTypeName,
  about: {
    readonly claims: Readonly<Record<string, unknown>>;
    readonly set: ReceivedSet;
    readonly subject: string;
    readonly identifier: SubjectIdentifier;
  },
  { may, name: source, issuer }: SignalTransmitter,
  { actions, by }: ReceiveOptions & { readonly by: string },
): Promise<string> {
  const { subject, claims, identifier } = about;
  const { issuedAtMs: issuedMs } = about.set;
  const reason = `${source}: ${name}: ${reasonOf(claims)}`.slice(0, 1000);
  const session = sessionOf(identifier);
  switch (name) {
    case 'session-revoked':
    case 'sessions-revoked': {
      if (!may.includes('end-sessions')) return 'not allowed to end sessions';
      const ended = await actions.endSessions({
        ...{ subject, issuer, reason, by },
        ...(session !== undefined && { session }),
      });
      await actions.respond(signalOf('session-revoked', about, reason));
      return `ended ${ended} sessions`;
    }
    case 'account-disabled':
    case 'account-purged':
    case 'credential-compromise': {
      if (may.includes('disable')) {
        return DISABLED[await actions.disable(subject, { reason, by, issuedMs })];
      }
      if (!may.includes('end-sessions')) return 'not allowed to act on it';
      return `ended ${await actions.endSessions({ subject, issuer, reason, by })} sessions`;
    }
    case 'account-enabled':
      return ENABLED[await actions.enable(subject, { by, issuedMs })];
    case 'credential-change':
    case 'assurance-level-change':
    case 'device-compliance-change':
    case 'token-claims-change':
    case 'risk-level-change': {
      // From outside risk is only raised: who speaks for somebody's risk must not make ours forget it.
      if (name === 'risk-level-change' && !isRaised(claims, actions.riskOf(subject))) {
        return 'no higher than known';
      }
      await actions.respond(signalOf(name, about, reason));
      return 'told';
    }
    default:
      return 'noted';
  }
}

/** The session that is named; none where all of the subject are meant. */
function sessionOf(identifier: SubjectIdentifier): string | undefined {
  if (identifier.format !== 'complex' || identifier.session?.format !== 'opaque') return undefined;
  const { id } = identifier.session;
  // Keycloak 26 when an administrator signs a user out; nobody's session has that name.
  return id === 'ALL' ? undefined : id;
}

/** §8.1.5 has a text; Keycloak 26 an object around it, as the status endpoint answers. */
function statusOf(status: unknown): string {
  const inner =
    typeof status === 'object' && status !== null && 'status' in status ? status.status : status;
  return typeof inner === 'string' ? inner : 'of unknown status';
}

const OUTDATED = 'older than the last word on it';
const DISABLED = {
  ...{ done: 'disabled', unchanged: 'was disabled already', outdated: OUTDATED },
} as const;
const ENABLED = {
  ...{ done: 'enabled', unchanged: 'was not disabled from there', outdated: OUTDATED },
  'cut-off': 'enabled, but its organisation is cut off',
} as const;

function signalOf(
  type: Signal['type'],
  {
    claims,
    set,
    subject,
  }: { claims: Readonly<Record<string, unknown>>; set: ReceivedSet; subject: string },
  reasonAdmin: string,
): Signal {
  const level = levelOf(claims['current_level']);
  const previousLevel = levelOf(claims['previous_level']);
  const initiator = claims['initiating_entity'];
  const isInitiator = (value: unknown): value is Signal['initiatingEntity'] =>
    ['admin', 'user', 'policy', 'system'].includes(String(value));
  return {
    id: set.jti.slice(0, 64),
    ...{ type, subject, reasonAdmin },
    atMs: Math.floor(set.issuedAtMs),
    initiatingEntity: isInitiator(initiator) ? initiator : 'system',
    ...(level && { level }),
    ...(previousLevel && { previousLevel }),
  };
}

const RANKS = { LOW: 0, MEDIUM: 1, HIGH: 2 } as const;

function isRaised(claims: Readonly<Record<string, unknown>>, known: Signal['level']): boolean {
  const level = levelOf(claims['current_level']);
  if (level === undefined) return false;
  return RANKS[level] > (known === undefined ? RANKS.LOW : RANKS[known]);
}

function levelOf(value: unknown): Signal['level'] {
  const text = typeof value === 'string' ? value.toUpperCase() : undefined;
  return text === 'LOW' || text === 'MEDIUM' || text === 'HIGH' ? text : undefined;
}

/** CAEP §2: `reason_admin` is an object by language. */
function reasonOf(claims: Readonly<Record<string, unknown>>): string {
  const reason = claims['reason_admin'];
  const texts = typeof reason === 'object' && reason !== null ? Object.values(reason) : [reason];
  const text = texts.find((each) => typeof each === 'string');
  return typeof text === 'string'
    ? text.replace(/[\p{C}\s]+/gu, ' ').slice(0, 500)
    : 'no reason given';
}
