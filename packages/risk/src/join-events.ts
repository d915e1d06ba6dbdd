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
  bytesCounted: number;
}

/** A {@link JoinedRequest} as a row of a snapshot: id first, then its fields in order. */
export type JoinedRow = readonly [
  id: string,
  seen: number,
  subject: string | null,
  session: string | null,
  resource: number | null,
  isForwarded: boolean,
  bytesCounted: number,
];

/**
 * Joins a request's decision, outcome and closure, which share one id and come in any order, and
 * drops what was seen before. Holds the last `requestsMax` requests: a duplicate that comes later
 * counts again, an outcome that comes later counts without its resource.
 */
export class EventJoin {
  readonly #requests = new Map<string, JoinedRequest>();
  readonly #requestsMax: number;

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
    // A decision alone says what was asked, not what was read.
    if ((request.seen & (BITS.outcome | BITS.closure)) === 0) return 'nothing-new';
    return this.#observation(request, event, atMs);
  }

  #observation(request: JoinedRequest, event: RequestEvent, atMs: number) {
    const subject = request.subject;
    const kind = subject === undefined ? undefined : kindOf(subject);
    if (subject === undefined || kind === undefined) return 'unattributed';
    const resource = request.resource;
    request.resource = undefined;
    // An outcome of known length and a closure may both tell bytes: the greater counts, once.
    const bytesTold = event.kind === 'decision' ? 0 : (event.bytes ?? 0);
    const bytes = Math.max(0, bytesTold - request.bytesCounted);
    request.bytesCounted += bytes;
    return {
      eventId: event.id,
      subject,
      kind,
      atMs,
      isReplayed: event.replayed === true,
      isForwarded: request.isForwarded,
      session: request.session,
      requests: event.kind === 'outcome' ? 1 : 0,
      bytes,
      resource,
    };
  }

  #start(id: string): JoinedRequest {
    if (this.#requests.size >= this.#requestsMax) {
      for (const oldest of this.#requests.keys()) {
        this.#requests.delete(oldest);
        break;
      }
    }
    const request: JoinedRequest = {
      seen: 0,
      subject: undefined,
      session: undefined,
      resource: undefined,
      isForwarded: false,
      bytesCounted: 0,
    };
    this.#requests.set(id, request);
    return request;
  }

  /** The requests held, oldest first. */
  *rows(): Iterable<JoinedRow> {
    for (const [id, r] of this.#requests) {
      const { seen, isForwarded, bytesCounted } = r;
      const texts = [r.subject ?? null, r.session ?? null, r.resource ?? null] as const;
      yield [id, seen, ...texts, isForwarded, bytesCounted];
    }
  }

  restore([id, seen, subject, session, resource, isForwarded, bytesCounted]: JoinedRow): void {
    Object.assign(this.#start(id), {
      seen,
      subject: subject ?? undefined,
      session: session ?? undefined,
      resource: resource ?? undefined,
      isForwarded,
      bytesCounted,
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
