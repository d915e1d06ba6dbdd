import {
  type ClosureEvent,
  type DecisionEvent,
  type OutcomeEvent,
  type SubjectKind,
  subjectFromId,
} from '@countersign/model';
import type { Observation } from './observation.ts';

/** The events of one request, joined by their id. */
export type RequestEvent = DecisionEvent | OutcomeEvent | ClosureEvent;

/** Why an event makes no observation. */
export type NotObserved = 'duplicate' | 'unattributed' | 'nothing-new';

// What was seen of a request, as bits of `JoinedRequest.seen`.
const BITS = { decision: 1, outcome: 2, closure: 4 } as const;

interface JoinedRequest {
  seen: number;
  subject: string | undefined;
  session: string | undefined;
  /** Hash of the resource until it was counted. */
  resource: number | undefined;
  isForwarded: boolean;
  /** What outcome and closure told: the greater, because both may tell the same bytes. */
  bytesTold: number;
  bytesCounted: number;
  isCounted: boolean;
}

/** A {@link JoinedRequest} as a row of a snapshot: id first, then its fields in order. */
export type JoinedRow = readonly [
  id: string,
  seen: number,
  subject: string | null,
  session: string | null,
  resource: number | null,
  isForwarded: boolean,
  bytesTold: number,
  bytesCounted: number,
  isCounted: boolean,
];

/**
 * Joins a request's decision, outcome and closure, which share one id and come in any order, and
 * drops what was seen before. Holds the last `requestsMax` requests: a duplicate that comes later
 * counts again, an outcome that comes later counts without its resource.
 */
export class EventJoin {
  readonly #requests = new Map<string, JoinedRequest>();
  readonly #requestsMax: number;
  /** Ids in the order they came: a ring, because a Map walks over all it deleted to find its first. */
  readonly #ids: string[] = [];
  #oldest = 0;

  constructor(requestsMax: number) {
    this.#requestsMax = requestsMax;
  }

  take(event: RequestEvent, atMs: number): Observation | NotObserved {
    let request = this.#requests.get(event.id);
    if (request === undefined) {
      request = this.#start(event.id);
    } else if ((request.seen & BITS[event.kind]) !== 0) {
      return 'duplicate';
    }
    request.seen |= BITS[event.kind];
    request.subject ??= event.subject;
    request.session ??= event.session;
    if (event.kind === 'decision' && event.resource !== undefined) {
      request.resource = hashResource(event.resource.type, event.resource.id);
    }
    if (event.kind === 'outcome') request.isForwarded = event.forwarded;
    if (event.kind === 'closure') request.isForwarded = true;
    if (event.kind !== 'decision') {
      request.bytesTold = Math.max(request.bytesTold, event.bytes ?? 0);
    }
    // A decision alone says what was asked, not what was read.
    if ((request.seen & (BITS.outcome | BITS.closure)) === 0) return 'nothing-new';
    return this.#observation(request, event, atMs);
  }

  #observation(request: JoinedRequest, event: RequestEvent, atMs: number) {
    const subject = request.subject;
    const kind = subject === undefined ? undefined : kindOf(subject);
    if (subject === undefined || kind === undefined) return 'unattributed';
    // All that was told and not counted yet, also what came before the subject was known.
    const resource = request.resource;
    const bytes = request.bytesTold - request.bytesCounted;
    const requests = (request.seen & BITS.outcome) !== 0 && !request.isCounted ? 1 : 0;
    request.resource = undefined;
    request.bytesCounted = request.bytesTold;
    request.isCounted ||= requests === 1;
    return {
      eventId: event.id,
      subject,
      kind,
      atMs,
      isReplayed: event.replayed === true,
      isForwarded: request.isForwarded,
      session: request.session,
      requests,
      bytes,
      resource,
    };
  }

  #start(id: string): JoinedRequest {
    if (this.#ids.length < this.#requestsMax) {
      this.#ids.push(id);
    } else {
      this.#requests.delete(this.#ids[this.#oldest] ?? '');
      this.#ids[this.#oldest] = id;
      this.#oldest = (this.#oldest + 1) % this.#requestsMax;
    }
    const request: JoinedRequest = {
      seen: 0,
      subject: undefined,
      session: undefined,
      resource: undefined,
      isForwarded: false,
      bytesTold: 0,
      bytesCounted: 0,
      isCounted: false,
    };
    this.#requests.set(id, request);
    return request;
  }

  /** Forgets whose requests they were, and resources that are not counted yet. Their ids stay: they are duplicates still. */
  forget(isForgotten: (subject: string) => boolean): void {
    for (const request of this.#requests.values()) {
      request.resource = undefined;
      if (request.subject === undefined || !isForgotten(request.subject)) continue;
      request.subject = undefined;
      request.session = undefined;
    }
  }

  /** The requests held, oldest first. */
  *rows(): Iterable<JoinedRow> {
    for (let i = 0; i < this.#ids.length; i++) {
      const id = this.#ids[(this.#oldest + i) % this.#ids.length] ?? '';
      const r = this.#requests.get(id);
      if (r === undefined) continue;
      const { seen, isForwarded, bytesTold, bytesCounted, isCounted } = r;
      const texts = [r.subject ?? null, r.session ?? null, r.resource ?? null] as const;
      yield [id, seen, ...texts, isForwarded, bytesTold, bytesCounted, isCounted];
    }
  }

  restore(row: JoinedRow): void {
    const [id, seen, subject, session, resource] = row;
    const [, , , , , isForwarded, bytesTold, bytesCounted, isCounted] = row;
    Object.assign(this.#start(id), {
      seen,
      subject: subject ?? undefined,
      session: session ?? undefined,
      resource: resource ?? undefined,
      isForwarded,
      bytesTold,
      bytesCounted,
      isCounted,
    });
  }
}

// As in subjectFromId; a name that is no subject's is expected here (a peer that was refused).
function kindOf(subject: string): SubjectKind | undefined {
  try {
    return subjectFromId(subject).kind;
  } catch {
    return undefined;
  }
}

/** FNV-1a over UTF-16 units, then the finalizer of MurmurHash3, so that all bits depend on all. */
function hashResource(type: string, id: string): number {
  let hash = 0x811c9dc5;
  const text = `${type}\u0000${id}`;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
