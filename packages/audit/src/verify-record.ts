import {
  type LogDisk,
  type LogReport,
  type NoteVerifier,
  nodeDisk,
  type TreeHead,
  type VerifiedEntry,
  verifyLog,
} from '@countersign/ledger';
import { decodeEvent, type Event, type EventKind } from '@countersign/model';
import {
  closingOf,
  openingOf,
  type ShardClosing,
  type ShardOpening,
} from './shards/shard-events.ts';
import { SignatureRepeats } from './signature-repeats.ts';
import { TimeOrder } from './time-order.ts';

/** What kinds of fault a record can have beside those of its log. */
export type RecordProblemCode =
  /** The entry is no event of the contract. */
  | 'event-unreadable'
  /** Its `seq` is not its index. */
  | 'event-sequence'
  /** Its `origin` is not the log's. */
  | 'event-origin'
  /** Its time is more than 5 s before that of an event before it: a clock was set back, or it is backdated. */
  | 'event-time'
  /** An outcome or closure whose decision does not stand before it. */
  | 'decision-missing'
  /** A decision that stands after its outcome: the request was answered first. */
  | 'decision-late'
  /** A request reached the resource although it was refused. */
  | 'denial-not-enforced'
  /** The event that begins or ends a shard stands elsewhere. */
  | 'shard-turn'
  /** A request's signature that an earlier decision holds: a replay that was let through. */
  | 'signature-repeated';

/** One fault, where it is. */
export interface RecordProblem {
  readonly code: RecordProblemCode;
  readonly index: number;
  readonly file: string;
  readonly detail: string;
}

/** An exchange whose record ends early; a crash leaves such, and so does one that is still going on. */
export interface UnfinishedExchange {
  /** The events' id. */
  readonly id: string;
  /** Where its last event stands. */
  readonly index: number;
  readonly missing: 'outcome' | 'closure';
}

/** What a verifier of a record found. It is sound when both lists of problems are empty. */
export interface RecordReport {
  /** What the log's own verifier found. */
  readonly log: LogReport;
  readonly counts: Readonly<Record<EventKind, number>>;
  /** In order; at most 1000. */
  readonly problems: readonly RecordProblem[];
  readonly problemsOmitted: number;
  /** Not faults. In order; at most 1000. */
  readonly unfinished: readonly UnfinishedExchange[];
  readonly unfinishedOmitted: number;
  /** What the first event says of the shard before this one, where it is in shards. */
  readonly opening?: ShardOpening;
  /** What the last event says of the shard after this one. */
  readonly closing?: ShardClosing;
  /** Exchanges that may go on in the next shard; for verifying that one. */
  readonly carry: RecordCarry;
  /** Signatures that may stand twice and were not looked for; 0 up to about 10 million signed decisions. */
  readonly signaturesUnchecked: number;
}

/** Exchanges that were not finished at the end of a shard, and those whose answer may still have a closure. */
export interface RecordCarry {
  /** Of that shard. */
  readonly origin: string;
  readonly open: ReadonlyMap<string, OpenExchange>;
  readonly finished: ReadonlySet<string>;
}

/** A decision without outcome, or an outcome whose closure is to come. */
export interface OpenExchange extends UnfinishedExchange {
  readonly isRefused: boolean;
}

/** What a verifier of a record brings along; see `VerifyLogOptions`. */
export interface VerifyRecordOptions {
  readonly verifiers: readonly NoteVerifier[];
  readonly atLeast?: TreeHead | readonly TreeHead[];
  /**
   * Of the shard before. Without it, in a shard that follows another, outcomes and closures whose decision does not
   * stand before them are taken to have theirs there.
   */
  readonly carry?: RecordCarry;
}

const LISTED_MAX = 1000;
/** Finished exchanges that a closure may still follow, when an answer broke off: normally within seconds. */
const FINISHED_MAX = 100_000;

/**
 * Verifies a point's log, or the collector's mirror of it, from the files alone: the log as `verifyLog`
 * does, then that it tells a story that can be true. Entries that the log's verifier could not prove are not
 * looked at. Holds the ids of unfinished exchanges and of the last 100,000 finished ones in memory; where
 * a closure comes later than that, the log is read a second time. So it is where a request's signature seems to stand in two
 * decisions; 32 MiB tell whether one does.
 *
 * @param record the log's folder, or a disk
 */
export async function verifyRecord(
  record: string | LogDisk,
  given: VerifyRecordOptions,
): Promise<RecordReport> {
  const { carry, ...options } = given;
  const reader = new RecordReader(carry);
  const disk = typeof record === 'string' ? nodeDisk(record) : record;
  const log = await verifyLog(disk, { ...options, onEntry: (entry) => reader.read(entry) });
  if (reader.needsSecondReading) {
    await verifyLog(disk, { ...options, onEntry: (entry) => reader.readAgain(entry) });
  }
  return reader.report(log);
}

class RecordReader {
  readonly #counts: Record<EventKind, number> = {
    authentication: 0,
    decision: 0,
    outcome: 0,
    closure: 0,
    administration: 0,
    signal: 0,
    alarm: 0,
  };
  readonly #problems: RecordProblem[] = [];
  #problemCount = 0;
  readonly #time = new TimeOrder();
  /** Where each origin was first seen: a sound record has one. */
  readonly #origins = new Map<string, VerifiedEntry>();
  /** Decisions without outcome, and outcomes whose closure is to come, by the events' id. */
  readonly #open = new Map<string, OpenExchange>();
  #carried: RecordCarry | undefined;
  #opening: ShardOpening | undefined;
  #closing: (ShardClosing & { readonly index: number }) | undefined;
  /** Ids of exchanges that have their outcome, the oldest first. */
  readonly #finished = new Set<string>();
  /** Closures of exchanges that are neither open nor among the finished that are remembered. */
  readonly #lateClosures = new Map<string, VerifiedEntry>();
  readonly #repeats = new SignatureRepeats();
  /** Ids of outcomes that no decision stood before, while one may still come. */
  readonly #orphans = new Map<string, number>();

  constructor(carry: RecordCarry | undefined) {
    this.#carried = carry;
    for (const [id, exchange] of carry?.open ?? []) this.#open.set(id, exchange);
    for (const id of carry?.finished ?? []) this.#finished.add(id);
  }

  read(entry: VerifiedEntry): void {
    let event: Event;
    try {
      event = decodeEvent(entry.bytes);
    } catch (error) {
      this.#problem('event-unreadable', entry, error instanceof Error ? error.message : 'no event');
      return;
    }
    this.#counts[event.kind]++;
    if (event.seq !== entry.index) {
      this.#problem('event-sequence', entry, `found seq ${event.seq}`);
    }
    const late = this.#time.next(event, entry.index);
    if (late !== undefined) this.#problem('event-time', entry, late);
    if (!this.#origins.has(event.origin) && this.#origins.size < LISTED_MAX) {
      this.#origins.set(event.origin, entry);
    }
    if (event.kind === 'administration' || this.#closing) this.#turn(event, entry);
    if (event.kind === 'decision') this.#decision(event, entry);
    else if (event.kind === 'outcome') this.#outcome(event, entry);
    else if (event.kind === 'closure') this.#closure(event, entry);
  }

  get needsSecondReading(): boolean {
    return this.#lateClosures.size > 0 || this.#repeats.isSuspicious;
  }

  /** Does a decision stand before one of those closures? Is one of those signatures in two decisions? */
  readAgain(entry: VerifiedEntry): void {
    const decision = decisionOf(entry);
    if (!decision) return;
    const { id, signature } = decision;
    const closure = this.#lateClosures.get(id);
    if (closure && entry.index < closure.index) this.#lateClosures.delete(id);
    const first = signature && this.#repeats.firstOf(signature, entry.index);
    if (first === undefined) return;
    const found = `found the request signature of the decision at ${first}: it was replayed`;
    this.#problem('signature-repeated', entry, found);
  }

  #turn(event: Event, entry: VerifiedEntry): void {
    const tell = (found: string): void => this.#problem('shard-turn', entry, found);
    if (this.#closing)
      tell(`found an event after the last of its shard, at ${this.#closing.index}`);
    const opening = openingOf(event);
    if (opening && entry.index > 0) tell('found the first event of a shard in the middle of one');
    else if (opening) this.#follow(opening);
    const closing = closingOf(event);
    if (closing) this.#closing = { ...closing, index: entry.index };
  }

  #follow(opening: ShardOpening): void {
    this.#opening = opening;
    if (this.#carried?.origin === opening.previous) return;
    // Of another shard than the one before.
    this.#carried = undefined;
    this.#open.clear();
    this.#finished.clear();
  }

  /** What began in the shard before, which is not at hand. */
  get #isContinued(): boolean {
    return this.#opening !== undefined && this.#carried === undefined;
  }

  report(log: LogReport): RecordReport {
    for (const closure of this.#isContinued ? [] : this.#lateClosures.values()) {
      this.#problem('decision-missing', closure, 'found a closure without a decision before it');
    }
    for (const [origin, entry] of this.#origins) {
      if (origin === log.origin) continue;
      this.#problem(
        'event-origin',
        entry,
        `found '${origin}', expected '${log.origin}', here first`,
      );
    }
    const unfinished = [...this.#open]
      // What the shard before left open is told of there.
      .flatMap(([id, exchange]) => (this.#carried?.open.get(id) === exchange ? [] : [exchange]))
      .sort((a, b) => a.index - b.index)
      .map(({ id, index, missing }) => ({ id, index, missing }));
    return {
      log,
      counts: { ...this.#counts },
      problems: this.#problems.toSorted((a, b) => a.index - b.index),
      problemsOmitted: this.#problemCount - this.#problems.length,
      unfinished: unfinished.slice(0, LISTED_MAX),
      unfinishedOmitted: Math.max(0, unfinished.length - LISTED_MAX),
      signaturesUnchecked: this.#repeats.unchecked,
      ...(this.#opening && { opening: this.#opening }),
      ...(this.#closing && { closing: { next: this.#closing.next } }),
      carry: { origin: log.origin, open: this.#open, finished: this.#finished },
    };
  }

  #decision(event: Event & { kind: 'decision' }, entry: VerifiedEntry): void {
    const { id, enforced, effect, signature } = event;
    if (signature) this.#repeats.note(signature);
    const outcomeIndex = this.#orphans.get(id);
    if (outcomeIndex !== undefined) {
      const what = enforced && event.stateChanging ? 'an enforced state-changing' : 'a';
      const found = `found ${what} decision after its outcome at ${outcomeIndex}`;
      this.#problem('decision-late', entry, found);
      return;
    }
    const isRefused = enforced && effect !== 'permit';
    this.#open.set(id, { id, index: entry.index, missing: 'outcome', isRefused });
  }

  #outcome(event: Event & { kind: 'outcome' }, entry: VerifiedEntry): void {
    const { id } = event;
    const decision = this.#open.get(id);
    if (decision === undefined && this.#isContinued) return;
    if (decision === undefined || decision.missing !== 'outcome') {
      this.#problem('decision-missing', entry, `found an outcome without a decision before it`);
      if (this.#orphans.size < LISTED_MAX) this.#orphans.set(id, entry.index);
      return;
    }
    if (decision.isRefused && event.forwarded) {
      const found = `found a request forwarded that was refused at ${decision.index}`;
      this.#problem('denial-not-enforced', entry, found);
    }
    // An answer of unknown length gets its closure when it ends.
    const awaitsClosure =
      event.forwarded &&
      event.bytes === undefined &&
      event.status > 0 &&
      event.failure === undefined;
    if (awaitsClosure) {
      this.#open.set(id, { ...decision, index: entry.index, missing: 'closure' });
      return;
    }
    this.#open.delete(id);
    this.#finished.add(id);
    if (this.#finished.size > FINISHED_MAX) {
      for (const oldest of this.#finished) {
        this.#finished.delete(oldest);
        break;
      }
    }
  }

  #closure(event: Event & { kind: 'closure' }, entry: VerifiedEntry): void {
    // An answer that broke off has a closure too, though its outcome told its length.
    if (this.#open.delete(event.id) || this.#finished.delete(event.id)) return;
    this.#lateClosures.set(event.id, entry);
  }

  #problem(code: RecordProblemCode, entry: VerifiedEntry, detail: string): void {
    if (this.#problemCount++ >= LISTED_MAX) return;
    this.#problems.push({ code, index: entry.index, file: entry.file, detail });
  }
}

function decisionOf(entry: VerifiedEntry): (Event & { kind: 'decision' }) | undefined {
  try {
    const event = decodeEvent(entry.bytes);
    return event.kind === 'decision' ? event : undefined;
  } catch {
    return undefined;
  }
}
