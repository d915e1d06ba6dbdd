import { setTimeout as sleep } from 'node:timers/promises';
import type { Fact, Playbook, Signal } from '@countersign/model';
import { attempt, type Retry } from './attempt.ts';
import { type EventDraft, ResponseRecord } from './response-record.ts';
import { RiskError } from './risk-error.ts';
import { type PlaybookStep, runPlaybooks } from './run-playbooks.ts';

/** A fact of kind `risk`. */
export type RiskFact = Extract<Fact, { kind: 'risk' }>;

/**
 * What a responder can do. Each must be idempotent, as it is repeated when it fails half-way, and must
 * settle: the next signal of the same subject waits for it.
 */
export interface ResponderActions {
  /** Leaves it what changes nothing. */
  narrowSession(session: string, reason: string): Promise<void> | void;
  revokeSession(session: string, reason: string): Promise<void> | void;
  /** All that the subject has. */
  revokeSessions(subject: string, reason: string): Promise<void> | void;
  disableSubject(subject: string, reason: string): Promise<void> | void;
  putRisk(fact: RiskFact): Promise<void> | void;
}

/** How a responder is made. */
export interface ResponderOptions {
  readonly playbooks: readonly Playbook[];
  readonly act: ResponderActions;
  /** Writes an event to the authority's log, which adds version, origin and sequence. */
  readonly record: (event: EventDraft) => Promise<void> | void;
  readonly now: () => number;
  /** Attempts per action and per record, default 5; the pause between doubles from 100 ms. */
  readonly attemptsMax?: number;
  /** Default: a timer. */
  readonly wait?: (milliseconds: number) => Promise<unknown>;
  /** Signals waiting or in work; beyond it `handle` refuses. Default 10 000. */
  readonly pendingMax?: number;
}

/** What became of one thing that had to be done. */
export interface ResponseStep {
  readonly action: 'put-risk' | PlaybookStep['action'];
  readonly playbook?: string;
  /**
   * `superseded`: a newer signal of the subject has already put its risk. `impossible`: the signal
   * names no session to narrow or revoke. `failed` and `impossible` were alarmed.
   */
  readonly outcome: 'done' | 'superseded' | 'impossible' | 'failed';
}

/** What a signal led to. */
export interface Response {
  readonly signalId: string;
  readonly steps: readonly ResponseStep[];
}

/** Turns signals into facts and actions, and records what was done. */
export interface Responder {
  /**
   * Handles a signal once: the same id again gives the same answer, and only what failed before is
   * tried again. Signals of one subject are handled one after the other, in order of the calls. A
   * failed action is alarmed and does not keep the next one from being done.
   *
   * @throws {RiskError} `ERR_RISK_RESPONDER_FULL` when too many signals wait;
   *   `ERR_RISK_RECORD_FAILED`, after everything was done, when the log would not take it
   */
  handle(signal: Signal): Promise<Response>;
}

/** Signals remembered by id, and subjects by their newest risk; the oldest are forgotten. */
const REMEMBERED_MAX = 10_000;

interface Remembered {
  /** What need not be done again. */
  readonly finished: Map<string, ResponseStep>;
  isRecorded: boolean;
  /** In work, or answered in full. */
  response: Promise<Response> | undefined;
}

/** Makes a responder. It remembers in memory only: after a restart an action may be repeated. */
export function createResponder(options: ResponderOptions): Responder {
  return new PlaybookResponder(options);
}

class PlaybookResponder implements Responder {
  readonly #options: ResponderOptions;
  readonly #retry: Retry;
  readonly #pendingMax: number;
  readonly #remembered = new Map<string, Remembered>();
  /** When the risk that a subject has now was found. */
  readonly #riskAtMs = new Map<string, number>();
  /** The last response of each subject that has one in work. */
  readonly #queues = new Map<string, Promise<unknown>>();
  #pending = 0;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#pendingMax = options.pendingMax ?? 10_000;
    this.#retry = {
      attemptsMax: options.attemptsMax ?? 5,
      wait: options.wait ?? ((milliseconds) => sleep(milliseconds)),
    };
  }

  async handle(signal: Signal): Promise<Response> {
    const remembered = this.#remember(signal.id);
    if (remembered.response !== undefined) return remembered.response;
    if (this.#pending >= this.#pendingMax) {
      throw new RiskError(
        'ERR_RISK_RESPONDER_FULL',
        `cannot handle signal: found ${this.#pending} in work, expected fewer than ${this.#pendingMax}`,
      );
    }
    remembered.response = this.#enqueue(signal, remembered);
    return remembered.response;
  }

  async #enqueue(signal: Signal, remembered: Remembered): Promise<Response> {
    const before = this.#queues.get(signal.subject) ?? Promise.resolve();
    // An earlier signal that failed has told its own caller; this one must be handled all the same.
    const response = before.then(
      () => this.#respond(signal, remembered),
      () => this.#respond(signal, remembered),
    );
    this.#queues.set(signal.subject, response);
    this.#pending++;
    try {
      const { steps } = await response;
      if (steps.some((step) => step.outcome === 'failed')) remembered.response = undefined;
      return await response;
    } catch (error) {
      remembered.response = undefined;
      throw error;
    } finally {
      this.#pending--;
      if (this.#queues.get(signal.subject) === response) this.#queues.delete(signal.subject);
    }
  }

  async #respond(signal: Signal, remembered: Remembered): Promise<Response> {
    const { record, now } = this.#options;
    const log = new ResponseRecord({ record, now, retry: this.#retry, signal });
    if (!remembered.isRecorded) remembered.isRecorded = await log.signal();
    const steps = [];
    if (signal.type === 'risk-level-change' && signal.level !== undefined) {
      const fact = riskFact(signal, signal.level);
      steps.push(await this.#once('put-risk', remembered, () => this.#putRisk(fact, log)));
    }
    for (const step of runPlaybooks(this.#options.playbooks, signal)) {
      steps.push(await this.#once(step.action, remembered, () => this.#run(step, log)));
    }
    // Thrown last: containment does not wait for a log that is down.
    if (log.failure !== undefined) throw log.failure;
    return { signalId: signal.id, steps };
  }

  async #once(name: string, { finished }: Remembered, run: () => Promise<ResponseStep>) {
    const before = finished.get(name);
    if (before !== undefined) return before;
    const step = await run();
    if (step.outcome !== 'failed') finished.set(name, step);
    return step;
  }

  async #putRisk(fact: RiskFact, log: ResponseRecord): Promise<ResponseStep> {
    const newest = this.#riskAtMs.get(fact.subject);
    // A late retry of an old HIGH must not overwrite the LOW that followed it.
    if (newest !== undefined && newest > fact.atMs) {
      return { action: 'put-risk', outcome: 'superseded' };
    }
    const error = await attempt(() => this.#options.act.putRisk(fact), this.#retry);
    if (error !== undefined) {
      await log.failed('put-risk', error);
      return { action: 'put-risk', outcome: 'failed' };
    }
    this.#riskAtMs.delete(fact.subject);
    this.#riskAtMs.set(fact.subject, fact.atMs);
    dropOldest(this.#riskAtMs);
    await log.done('risk-put', { target: fact.subject, level: fact.level });
    return { action: 'put-risk', outcome: 'done' };
  }

  async #run(step: PlaybookStep, log: ResponseRecord): Promise<ResponseStep> {
    const { action, playbook, session, subject, reason } = step;
    const { act } = this.#options;
    const isOfSession = action === 'narrow-session' || action === 'revoke-session';
    if (isOfSession && session === undefined) {
      await log.failed(action, new Error('found no session in the signal, expected one'));
      return { action, playbook, outcome: 'impossible' };
    }
    const target = isOfSession ? (session ?? '') : subject;
    const run = {
      'narrow-session': () => act.narrowSession(target, reason),
      'revoke-session': () => act.revokeSession(target, reason),
      'revoke-sessions': () => act.revokeSessions(target, reason),
      'disable-subject': () => act.disableSubject(target, reason),
    }[action];
    const error = await attempt(run, this.#retry);
    if (error !== undefined) {
      await log.failed(action, error);
      return { action, playbook, outcome: 'failed' };
    }
    await log.done(DONE[action], { target, playbook });
    return { action, playbook, outcome: 'done' };
  }

  #remember(id: string): Remembered {
    const known = this.#remembered.get(id);
    if (known !== undefined) return known;
    const remembered = { finished: new Map(), isRecorded: false, response: undefined };
    this.#remembered.set(id, remembered);
    dropOldest(this.#remembered);
    return remembered;
  }
}

/** What the record says of it. */
const DONE: { readonly [K in PlaybookStep['action']]: string } = {
  'narrow-session': 'session-narrowed',
  'revoke-session': 'session-revoked',
  'revoke-sessions': 'sessions-revoked',
  'disable-subject': 'subject-disabled',
};

function riskFact(signal: Signal, level: RiskFact['level']): RiskFact {
  const { subject, score, reasonAdmin, atMs } = signal;
  return { kind: 'risk', subject, level, score: score ?? 0, reasons: [reasonAdmin], atMs };
}

function dropOldest(map: Map<string, unknown>): void {
  if (map.size <= REMEMBERED_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
