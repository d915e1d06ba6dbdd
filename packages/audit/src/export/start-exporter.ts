import { setTimeout as sleep } from 'node:timers/promises';
import { throttleAlarms } from '../alarm-throttle.ts';
import { type CursorFile, openCursorFile } from './cursor-file.ts';
import {
  DEAD_LETTERS_MAX,
  type DeadLetter,
  type DeadLetters,
  openDeadLetters,
} from './dead-letters.ts';
import type { ExportRecord, SinkAnswer } from './export-sink.ts';
import type {
  ExportAlarmKind,
  Exporter,
  ExporterOptions,
  ExporterStatus,
  ExportSource,
  ExportTrouble,
} from './exporter.ts';
import { inBatches } from './in-batches.ts';
import { LagMeter } from './lag-meter.ts';
import { makeRecords } from './make-records.ts';

/** What is in memory of a log at once: about three times this as OCSF, and one batch of it encoded. */
const READ_COUNT_MAX = 2000;
const READ_BYTES_MAX = 1024 * 1024;
/** Without a wake-up, which comes with each commit and each collection: a safety net. */
const LOOK_EVERY_MS = 30_000;
const LOOK_MS_MIN = 1000;
const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 60_000;
/** A sink may ask for more patience than our own, up to this. */
const RETRY_AFTER_MS_MAX = 10 * 60_000;
const UNREADABLE_AGAIN_MS = 10_000;
const LAG_MS_MAX = 300_000;
/** Refused one after the other, nothing taken between: then it is the sink, and no event is at fault. */
const REFUSED_IN_A_ROW_MAX = 10;
const ALARM_EVERY_MS = 10 * 60_000;

/**
 * Starts exporting to one sink. It reads what is durable and has one batch in memory; the log and other
 * sinks never wait for it. The cursor moves, durably, after the sink's acknowledgement: what a crash kept
 * from being acknowledged is sent again.
 *
 * Failures back off exponentially, 0.5 s to 60 s with jitter, or as long as the sink asks. A batch that the sink
 * refuses for its content is halved until the event at fault is alone; that one is set aside, as a line in
 * `dead-letters.ndjson` that names its place, and an alarm is raised. After ten in a row with none taken between, and after
 * 100,000 in all, the sink is at fault, and is held.
 *
 * @throws {AuditError} `ERR_AUDIT_CURSOR_INVALID`
 * @throws {LedgerError} `ERR_LEDGER_LOCKED` when another exporter has the folder
 */
export async function startExporter(options: ExporterOptions): Promise<Exporter> {
  const cursor = await openCursorFile(options.folder);
  try {
    const deadLetters = await openDeadLetters(options.folder);
    return new RunningExporter(options, { cursor, deadLetters });
  } catch (error) {
    await cursor.close();
    throw error;
  }
}

class RunningExporter implements Exporter {
  readonly name: string;
  readonly #options: ExporterOptions;
  readonly #cursor: CursorFile;
  readonly #deadLetters: DeadLetters;
  readonly #throttled: (name: string, alarm: ExportAlarmKind, detail: string) => void;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #wake: (() => void) | undefined;
  #isWoken = false;
  readonly #lag = new LagMeter();
  /** By origin: what waits, and when a log that could not be read is asked again. */
  readonly #pending = new Map<string, number>();
  readonly #askAgainAtMs = new Map<string, number>();
  #taken = 0;
  #refusedInARow = 0;
  #lastTakenAtMs: number | undefined;
  #trouble: ExportTrouble | undefined;

  constructor(
    options: ExporterOptions,
    opened: { readonly cursor: CursorFile; readonly deadLetters: DeadLetters },
  ) {
    this.name = options.name;
    this.#options = options;
    this.#cursor = opened.cursor;
    this.#deadLetters = opened.deadLetters;
    const { now, onAlarm } = options;
    this.#throttled = throttleAlarms({ now, onAlarm, quietMs: ALARM_EVERY_MS });
    this.#running = this.#run();
  }

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  status(): ExporterStatus {
    return {
      name: this.name,
      pending: [...this.#pending.values()].reduce((sum, count) => sum + count, 0),
      lagMs: this.#lag.lagMs(this.#options.now()),
      lastTakenAtMs: this.#lastTakenAtMs,
      taken: this.#taken,
      deadLetters: this.#deadLetters.count,
      trouble: this.#trouble,
      cursors: this.#cursor.all(),
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.wake();
    await this.#running;
    await this.#options.sink.close().catch(() => undefined);
    await this.#deadLetters.close();
    await this.#cursor.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#isWoken = false;
      let hasMoved = false;
      for (const source of this.#options.sources()) {
        if (signal.aborted) return;
        try {
          if (await this.#advance(source)) hasMoved = true;
        } catch (error) {
          // Cursor or dead letters could not be written: nothing was passed, all of it comes again.
          await this.#backOff({ code: 'unwritable', detail: messageOf(error) });
        }
      }
      if (!hasMoved) await this.#nextLook();
    }
  }

  /** Exports the next run of one log; false when there is none, or it cannot be read. */
  async #advance(source: ExportSource): Promise<boolean> {
    const { origin } = source;
    const { now, sink } = this.#options;
    const from = this.#cursor.get(origin);
    if (now() < (this.#askAgainAtMs.get(origin) ?? 0)) return false;
    let run: Run | undefined;
    try {
      run = await readRun(source, from);
      this.#askAgainAtMs.delete(origin);
    } catch (error) {
      // Of this log; the others go on.
      this.#askAgainAtMs.set(origin, now() + UNREADABLE_AGAIN_MS);
      this.#alarm('export-log-unreadable', `${origin}: ${messageOf(error)}`);
      return false;
    }
    if (run === undefined) return false;
    const { size, next } = run;
    this.#stands(origin, size);
    const { records, unmapped } = makeRecords(run, { ...this.#options, origin });
    for (const letter of unmapped) await this.#setAside('export-unmapped', { origin, ...letter });
    for (const batch of inBatches(records, sink)) {
      if (!(await this.#deliver(batch))) return false;
      this.#stands(origin, size);
    }
    // Beyond the last record: what the filter kept back is done with, too.
    if (this.#cursor.get(origin) < next) await this.#cursor.commit(origin, next);
    this.#stands(origin, size);
    return true;
  }

  #stands(origin: string, size: number): void {
    const cursor = this.#cursor.get(origin);
    this.#pending.set(origin, size - cursor);
    this.#lag.seen(origin, { size, cursor, atMs: this.#options.now() });
    const { lagMsMax = LAG_MS_MAX, now } = this.#options;
    const lagMs = this.#lag.lagMs(now());
    if (lagMs <= lagMsMax) return;
    const waited = `found an event waiting for ${Math.round(lagMs / 1000)} s, expected at most ${lagMsMax / 1000}`;
    const { code, detail } = this.#trouble ?? { code: 'slow', detail: 'the sink takes events' };
    this.#alarm('export-lag', `${waited}: ${code}: ${detail}`);
  }

  /** Sends until the batch is taken or its events are set aside; false when the exporter closes first. */
  async #deliver(batch: readonly ExportRecord[]): Promise<boolean> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const answer = await this.#send(batch);
      switch (answer.kind) {
        case 'taken':
          await this.#acknowledged(batch, batch.length);
          return true;
        case 'partial':
          await this.#setPartAside(batch, answer);
          await this.#acknowledged(batch, batch.length - answer.count);
          return true;
        case 'refused':
          if (batch.length > 1) {
            const half = Math.ceil(batch.length / 2);
            return (
              (await this.#deliver(batch.slice(0, half))) &&
              (await this.#deliver(batch.slice(half)))
            );
          }
          if (await this.#setOneAside(batch, answer)) return true;
          await this.#backOff({
            code: 'refuses-everything',
            detail: `${REFUSED_IN_A_ROW_MAX} events in a row, the last: ${answer.code}: ${answer.detail}`,
          });
          break;
        case 'later':
          await this.#backOff(answer);
          break;
        default:
          assertNever(answer);
      }
    }
    return false;
  }

  async #send(batch: readonly ExportRecord[]): Promise<SinkAnswer> {
    try {
      return await this.#options.sink.send(batch, this.#closing.signal);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException)?.code ?? 'unreachable';
      return { kind: 'later', code, detail: messageOf(error) };
    }
  }

  /** INVARIANT: the cursor moves after the acknowledgement, never before. */
  async #acknowledged(batch: readonly ExportRecord[], count: number): Promise<void> {
    const last = batch.at(-1);
    if (last !== undefined) await this.#cursor.commit(last.origin, last.seq + 1);
    this.#taken += count;
    if (count > 0) this.#refusedInARow = 0;
    this.#lastTakenAtMs = this.#options.now();
    this.#trouble = undefined;
  }

  /** Sets the one event of a batch aside, unless it seems that the sink would refuse any. */
  async #setOneAside(
    batch: readonly ExportRecord[],
    { code, detail }: SinkAnswer & { readonly kind: 'refused' },
  ): Promise<boolean> {
    const [record] = batch;
    if (record === undefined) return true;
    if (this.#refusedInARow >= REFUSED_IN_A_ROW_MAX) return false;
    if (this.#deadLetters.count >= DEAD_LETTERS_MAX) return false;
    this.#refusedInARow++;
    const { origin, seq } = record;
    await this.#setAside('export-dead-letter', { origin, seq, code, detail });
    await this.#cursor.commit(origin, seq + 1);
    return true;
  }

  async #setPartAside(
    batch: readonly ExportRecord[],
    { count, detail }: SinkAnswer & { readonly kind: 'partial' },
  ): Promise<void> {
    const [first, last] = [batch[0], batch.at(-1)];
    if (first === undefined || last === undefined) return;
    const { origin, seq } = first;
    const run = { origin, seq, through: last.seq, count };
    await this.#setAside('export-dead-letter', { ...run, code: 'partial', detail });
  }

  async #setAside(alarm: ExportAlarmKind, letter: Omit<DeadLetter, 'atMs'>): Promise<void> {
    const detail = letter.detail.slice(0, 500);
    // INVARIANT: the dead letter is on disk before the cursor passes its event. A point that writes no events
    // must not hold the sink for all others: of those, beyond the bound, only the alarm tells.
    if (alarm !== 'export-unmapped' || this.#deadLetters.count < DEAD_LETTERS_MAX) {
      await this.#deadLetters.add({ atMs: this.#options.now(), ...letter, detail });
    }
    const { origin, seq, through = seq, code } = letter;
    const where = through === seq ? `${seq}` : `${seq} to ${through}`;
    this.#alarm(alarm, `${origin} ${where}: ${code}: ${detail}`);
  }

  async #backOff({
    code,
    detail,
    afterMs = 0,
  }: {
    readonly code: string;
    readonly detail: string;
    readonly afterMs?: number;
  }): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    const { now, random = Math.random, wait = timer } = this.#options;
    const attempts = (this.#trouble?.attempts ?? 0) + 1;
    this.#trouble = { code, detail, attempts, sinceMs: this.#trouble?.sinceMs ?? now() };
    // The second failure in a row: one alone is a restart of the sink.
    if (attempts === 2) this.#alarm('export-failed', `${code}: ${detail}`);
    for (const source of this.#pending.keys()) this.#stands(source, this.#sizeOf(source));
    const longest = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempts - 1, 20));
    // Half of it fixed, half random: exporters that lost one sink together do not come back together.
    const own = longest / 2 + (longest / 2) * random();
    await wait(Math.max(own, Math.min(afterMs, RETRY_AFTER_MS_MAX)), signal).catch(() => undefined);
  }

  /** As of the last look. */
  #sizeOf(origin: string): number {
    return this.#cursor.get(origin) + (this.#pending.get(origin) ?? 0);
  }

  /** Resolves when woken, or after a while. */
  async #nextLook(): Promise<void> {
    const { signal } = this.#closing;
    if (this.#isWoken || signal.aborted) return;
    const { wait = timer } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const looked = new AbortController();
    await Promise.race([
      promise,
      wait(this.#lookAgainMs(), AbortSignal.any([looked.signal, signal])).catch(() => undefined),
    ]);
    looked.abort();
    this.#wake = undefined;
  }

  /** A log that could not be read is asked again in time, though nobody wakes for it. */
  #lookAgainMs(): number {
    const againAtMs = Math.min(...this.#askAgainAtMs.values());
    return Math.max(LOOK_MS_MIN, Math.min(LOOK_EVERY_MS, againAtMs - this.#options.now()));
  }

  #alarm(alarm: ExportAlarmKind, detail: string): void {
    this.#throttled(this.name, alarm, detail);
  }
}

interface Run {
  readonly start: number;
  readonly entries: readonly Uint8Array[];
  readonly next: number;
  readonly size: number;
}

/** What comes next of a log, or nothing. */
async function readRun(source: ExportSource, from: number): Promise<Run | undefined> {
  const size = await source.size();
  if (size < from) throw new Error(`found ${size} entries, and ${from} were exported`);
  if (size === from) return undefined;
  const bounds = { count: READ_COUNT_MAX, bytesMax: READ_BYTES_MAX };
  const { start, entries } = await source.read(from, bounds);
  if (start !== from || entries.length === 0) {
    throw new Error(`found ${entries.length} entries from ${start}, expected some from ${from}`);
  }
  return { start, entries, next: start + entries.length, size };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function timer(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref: false });
}

function assertNever(answer: never): never {
  throw new TypeError(`found an answer '${JSON.stringify(answer)}'`);
}
