import { setTimeout as sleep } from 'node:timers/promises';
import { LedgerError } from '../ledger-error.ts';
import { type Checkpoint, openCheckpoint } from '../note/checkpoint.ts';
import type { CosignatureVerifier } from '../note/cosigner-key.ts';
import { addSignatures } from '../note/note.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { openCosignedCheckpoint, type WitnessPolicy } from '../note/witness-policy.ts';
import {
  type AskWitnessOutcome,
  askWitness,
  type ProveConsistency,
  type WitnessPost,
  type WitnessTroubleCode,
} from './ask-witness.ts';

const TIMEOUT_MS = 5000;
const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 60_000;

/** What a group of witnesses is asked with. */
export interface WitnessGroupOptions {
  /** The keys of the log whose checkpoints are cosigned. */
  readonly log: readonly NoteVerifier[];
  /** How many must cosign, and the keys of all. */
  readonly policy: WitnessPolicy;
  /** Where each witness of the policy is, by its name. */
  readonly urls: ReadonlyMap<string, string>;
  readonly prove: ProveConsistency;
  readonly post: WitnessPost;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Gets a checkpoint with the cosignatures of at least the quorum, and again with more when a slower witness has answered too.
   * Sizes never go back.
   */
  readonly onCosigned: (note: string) => void;
  /** Told when a witness does not cosign, with each try, and when it does again (`undefined`). */
  readonly onTrouble?: (name: string, trouble: WitnessTrouble | undefined) => void;
  /** One exchange with one witness, its retries after a 409 included. Default 5 s. */
  readonly timeoutMs?: number;
  /** Waits; rejects when the signal aborts. For tests; default a timer that keeps no process alive. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1, for jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** Why a witness does not cosign just now. */
export interface WitnessTrouble {
  readonly code: WitnessTroubleCode;
  readonly detail: string;
  /** Tries that failed since it last cosigned. */
  readonly attempts: number;
  readonly sinceMs: number;
}

/** Where one witness stands. */
export interface WitnessStatus {
  readonly name: string;
  readonly url: string;
  /** The size that it cosigned last, since this group was made. */
  readonly cosignedSize: number | undefined;
  readonly cosignedAtMs: number | undefined;
  readonly trouble: WitnessTrouble | undefined;
}

/** Has a log's checkpoints cosigned. */
export interface WitnessGroup {
  /**
   * A new checkpoint of the log. It is shown to the witnesses when the one before has its quorum, or has no witness
   * left that could give it; of those that come meanwhile only the last is shown.
   *
   * @throws {LedgerError} as `openCheckpoint`
   */
  submit(note: string): void;
  status(): readonly WitnessStatus[];
  /** Stops asking and waits until nobody is being asked. */
  close(): Promise<void>;
}

/**
 * Asks all witnesses at once. Each has its own exchange, timeout and back-off (1 s to 60 s with jitter), so that one that
 * is slow, away or lying holds nothing back as long as enough others answer.
 *
 * @throws {LedgerError} `ERR_LEDGER_OPTION` when a witness of the policy has no URL
 */
export function createWitnessGroup(options: WitnessGroupOptions): WitnessGroup {
  return new AskingGroup(options);
}

/** One checkpoint, and what has come in for it. */
interface Round {
  readonly note: string;
  readonly checkpoint: Checkpoint;
  /** Verified lines by the witness's name. */
  readonly lines: Map<string, readonly string[]>;
}

class Asked {
  readonly name: string;
  readonly url: string;
  readonly verifiers: readonly CosignatureVerifier[];
  cosignedSize: number | undefined;
  cosignedAtMs: number | undefined;
  trouble: WitnessTrouble | undefined;
  /** In its back-off: not waited for. */
  isResting = false;

  constructor(name: string, url: string, verifiers: readonly CosignatureVerifier[]) {
    this.name = name;
    this.url = url;
    this.verifiers = verifiers;
  }
}

class AskingGroup implements WitnessGroup {
  readonly #options: WitnessGroupOptions;
  readonly #witnesses: readonly Asked[];
  readonly #closing = new AbortController();
  readonly #running: Promise<unknown>;
  #round: Round | undefined;
  #next: Round | undefined;
  /** The round whose note was given out last. */
  #published: Round | undefined;
  #woken = Promise.withResolvers<void>();

  constructor(options: WitnessGroupOptions) {
    this.#options = options;
    const names = [...new Set(options.policy.verifiers.map(({ name }) => name))];
    this.#witnesses = names.map((name) => {
      const url = options.urls.get(name);
      if (url === undefined) {
        throw new LedgerError('ERR_LEDGER_OPTION', `could not ask '${name}': found no URL for it`);
      }
      return new Asked(
        name,
        url,
        options.policy.verifiers.filter((each) => each.name === name),
      );
    });
    this.#running = Promise.all(this.#witnesses.map((witness) => this.#follow(witness)));
  }

  submit(note: string): void {
    const checkpoint = openCheckpoint(note, this.#options.log);
    const last = this.#next ?? this.#round;
    if (last !== undefined && checkpoint.size < last.checkpoint.size) return;
    if (last?.checkpoint.size === checkpoint.size && last.note === note) return;
    this.#next = { note, checkpoint, lines: new Map() };
    this.#advance();
  }

  status(): readonly WitnessStatus[] {
    return this.#witnesses.map(({ name, url, cosignedSize, cosignedAtMs, trouble }) => ({
      ...{ name, url, cosignedSize, cosignedAtMs, trouble },
    }));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake();
    await this.#running;
  }

  /** Goes on to the next checkpoint when nothing more is to be expected for this one. */
  #advance(): void {
    const round = this.#round;
    const isOver =
      round === undefined ||
      round.lines.size >= this.#options.policy.quorum ||
      this.#witnesses.every(({ name, isResting }) => isResting || round.lines.has(name));
    if (!isOver || this.#next === undefined) return;
    this.#round = this.#next;
    this.#next = undefined;
    this.#publish(this.#round);
    this.#wake();
  }

  async #follow(witness: Asked): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const round = this.#round;
      if (round === undefined || round.lines.has(witness.name)) {
        await this.#woken.promise;
        continue;
      }
      const outcome = await this.#ask(witness, round);
      if (signal.aborted) return;
      if (outcome.kind === 'cosigned') this.#take(witness, round, outcome.lines);
      else await this.#rest(witness, outcome);
    }
  }

  async #ask(witness: Asked, { note, checkpoint }: Round): Promise<AskWitnessOutcome> {
    const { prove, post, now, timeoutMs = TIMEOUT_MS } = this.#options;
    const { url, verifiers, cosignedSize } = witness;
    const late = new AbortController();
    const bound = setTimeout(() => late.abort(), timeoutMs);
    const signal = AbortSignal.any([this.#closing.signal, late.signal]);
    const logSize = (this.#next ?? this.#round)?.checkpoint.size ?? checkpoint.size;
    const oldSize = Math.min(cosignedSize ?? 0, checkpoint.size);
    try {
      return await askWitness(note, { url, verifiers, oldSize, logSize, prove, post, now, signal });
    } catch (error) {
      // Our own side: the log could not be read. Told as the witness's trouble, and tried again.
      const detail = `found no proof for it: ${error instanceof Error ? error.message : error}`;
      return { kind: 'trouble', code: 'unreachable', detail };
    } finally {
      clearTimeout(bound);
    }
  }

  #take(witness: Asked, round: Round, lines: readonly string[]): void {
    round.lines.set(witness.name, lines);
    witness.cosignedSize = round.checkpoint.size;
    witness.cosignedAtMs = this.#options.now();
    if (witness.trouble !== undefined) {
      witness.trouble = undefined;
      this.#options.onTrouble?.(witness.name, undefined);
    }
    if (round === this.#round || round === this.#published) this.#publish(round);
    this.#advance();
  }

  #publish(round: Round): void {
    const { log, policy, onCosigned } = this.#options;
    if (round.lines.size < policy.quorum) return;
    const note = addSignatures(round.note, [...round.lines.values()].flat());
    // INVARIANT: what is given out opens as whoever asks for a quorum opens it.
    openCosignedCheckpoint(note, { log, policy });
    this.#published = round;
    onCosigned(note);
  }

  async #rest(witness: Asked, { code, detail }: { code: WitnessTroubleCode; detail: string }) {
    const { now, onTrouble, random = Math.random, wait = timer } = this.#options;
    const attempts = (witness.trouble?.attempts ?? 0) + 1;
    witness.trouble = { code, detail, attempts, sinceMs: witness.trouble?.sinceMs ?? now() };
    onTrouble?.(witness.name, witness.trouble);
    const longest = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempts - 1, 20));
    witness.isResting = true;
    this.#advance();
    // Half of it fixed, half random: logs that lost a witness together do not come back together.
    await wait(longest / 2 + (longest / 2) * random(), this.#closing.signal).catch(() => undefined);
    witness.isResting = false;
  }

  #wake(): void {
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
  }
}

async function timer(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref: false });
}
