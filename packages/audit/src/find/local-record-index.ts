import { AuditError } from '../audit-error.ts';
import { logOfShard } from '../shards/shard-name.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { FIELDS } from './event-terms.ts';
import { type BlockMatches, findEvents, isKnown, knownNames } from './find-events.ts';
import { FollowedLog } from './followed-log.ts';
import type { LogSource } from './log-index.ts';
import { nearestNames } from './nearest-names.ts';
import { type Candidate, selectPage } from './page.ts';
import { type IndexSizes, PartitionUnusable } from './partition.ts';
import { matchesQuestion, type Question, withDomains } from './question.ts';
import { readEntered } from './read-entered.ts';
import {
  type Answer,
  type AnswerProblem,
  type AnswerRow,
  type AskOptions,
  type Completeness,
  type IndexStatus,
  type PageRequest,
  type RecordIndex,
  ROWS_MAX,
  type UnknownValue,
  type VerifyAnswerOptions,
} from './record-index.ts';
import { verifyAnswer } from './verify-answer.ts';

/** Names among which one that was mistyped is looked for. */
const NAMES_MAX = 200_000;
/** A partition is built anew at most so often while one question waits. */
const TRIES_MAX = 5;

/** How an index is made. */
export interface RecordIndexOptions {
  /** For tests; each partition of the index must have been made with the same. */
  readonly sizes?: IndexSizes;
}

/**
 * An index that works in this thread: for a command, a test, or the thread that `startRecordIndex` starts. One
 * object at a time may use an index folder.
 */
export function openRecordIndex(options: RecordIndexOptions = {}): RecordIndex {
  return new LocalRecordIndex(options);
}

class LocalRecordIndex implements RecordIndex {
  readonly #options: RecordIndexOptions;
  readonly #logs = new Map<string, FollowedLog>();
  readonly #closing = new AbortController();
  /** Logs that another one took the place of. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: RecordIndexOptions) {
    this.#options = options;
  }

  follow(source: LogSource, size: number): void {
    const known = this.#logs.get(source.name);
    const isSame = known !== undefined && isSameSource(known.source, source);
    if (isSame) {
      known.grow(size, this.#closing.signal);
      return;
    }
    const { sizes } = this.#options;
    const log = new FollowedLog(source, { size, ...(sizes && { sizes }) });
    this.#logs.set(source.name, log);
    if (known === undefined) {
      log.grow(size, this.#closing.signal);
      return;
    }
    // Both may have the same folder: the old one lets go first.
    const left = known.close();
    const leaving = log.exclusively(() => left);
    this.#leaving.add(leaving);
    void leaving.finally(() => this.#leaving.delete(leaving));
    log.grow(size, this.#closing.signal);
  }

  async ask(question: Question, page: PageRequest, options: AskOptions = {}): Promise<Answer> {
    const { order, limit } = page;
    if (!Number.isSafeInteger(limit) || limit < 0 || limit > ROWS_MAX) {
      throw new AuditError(
        'ERR_AUDIT_QUESTION',
        `cannot answer: found limit ${limit}, expected 0 to ${ROWS_MAX}`,
      );
    }
    const cursor = page.cursor === undefined ? undefined : readCursor(page.cursor, question, order);
    const { logs, asked } = this.#asked(question);
    const sizes = new Map<string, number>();
    for (const log of logs) {
      const size = cursor?.sizes.get(log.source.name) ?? (cursor === undefined ? log.size : 0);
      if (size > log.size) {
        throw new AuditError(
          'ERR_AUDIT_CURSOR',
          `cannot go on: found ${log.size} entries in '${log.source.name}', expected the ${size} of the page before`,
        );
      }
      sizes.set(log.source.name, size);
    }
    const found: { source: FollowedLog['index']; matches: readonly BlockMatches[] }[] = [];
    const { located, unknown, damage } = await this.#withLogs(logs, options, () => {
      found.length = 0;
      for (const { index, source } of logs) {
        const size = sizes.get(source.name) ?? 0;
        found.push({ source: index, matches: findEvents(index, asked, { size }) });
      }
      // One more than asked for tells whether there is a next page.
      const selected = selectPage(found, {
        order,
        limit: limit + 1,
        ...(cursor && { after: cursor.after }),
      });
      return {
        located: selected.map((each) => ({
          ...each,
          run: each.source.locate(each.matches.block, each.offset),
        })),
        ...(count(found) === 0 ? this.#unknown(asked, question, logs) : NOTHING_UNKNOWN),
      };
    });
    const shown = located.slice(0, limit);
    const last = shown.at(-1);
    const read = await Promise.all(shown.map((each) => readRow(each, asked)));
    return {
      rows: read.flatMap(({ row }) => row ?? []),
      count: count(found),
      ...(located.length > limit &&
        last && { cursor: writeCursor({ after: positionOf(last), sizes }, question, order) }),
      logs: logs.map(({ source: { name, origin } }) => ({
        name,
        origin,
        size: sizes.get(name) ?? 0,
      })),
      unknown,
      problems: [...damage, ...read.flatMap(({ problem }) => problem ?? [])],
    };
  }

  async verify(question: Question, options: VerifyAnswerOptions = {}): Promise<Completeness> {
    const { logs, asked } = this.#asked(question);
    const sources = [...this.#logs.values()].map(({ source }) => source);
    // Before the logs are read: what is entered meanwhile may be more than what was read of them.
    const entered =
      options.checkpoints && (await readEntered(options.checkpoints, { logs: sources }));
    const sizes = new Map(logs.map((log) => [log, log.size]));
    const found = await this.#withLogs(logs, options, () =>
      logs.map((log) => ({
        log: log.source,
        size: sizes.get(log) ?? 0,
        matches: findEvents(log.index, asked, { size: sizes.get(log) ?? 0 }),
      })),
    );
    const isOfAll = question.logs === undefined;
    return verifyAnswer(found, {
      ...options,
      question: asked,
      ...(entered && { entered: { ...entered, isOfAll } }),
    });
  }

  async forget(name: string): Promise<void> {
    const log = this.#logs.get(name);
    this.#logs.delete(name);
    await log?.close();
  }

  async status(): Promise<readonly IndexStatus[]> {
    return [...this.#logs.values()].map((log) => log.status());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#leaving);
    for (const log of this.#logs.values()) await log.close();
    this.#logs.clear();
  }

  #asked(question: Question): { readonly logs: readonly FollowedLog[]; readonly asked: Question } {
    // Sorted, each once: questions that hold several logs must not wait for each other.
    const names = [
      ...new Set(question.logs?.flatMap((name) => this.#shards(name)) ?? this.#logs.keys()),
    ].sort();
    const logs = names.map((name) => {
      const log = this.#logs.get(name);
      if (log !== undefined) return log;
      const known = [...this.#logs.keys()].join(', ') || 'none';
      throw new AuditError(
        'ERR_AUDIT_QUESTION',
        `cannot answer: found no log '${name}', expected one of ${known}`,
      );
    });
    for (const { fields } of question.where) {
      const other = fields.find((field) => !Object.hasOwn(FIELDS, field));
      if (other === undefined) continue;
      throw new AuditError('ERR_AUDIT_QUESTION', `cannot answer: found no field '${other}'`);
    }
    // C2SP origins begin with the trust domain.
    const domains = new Set([...this.#logs.values()].map(({ source }) => domainOf(source.origin)));
    return { logs, asked: withDomains(question, [...domains]) };
  }

  /** A log's name is that of its first shard, and means all of them. */
  #shards(name: string): readonly string[] {
    const shards = [...this.#logs.keys()].filter(
      (each) => each === name || logOfShard(each) === name,
    );
    return shards.length > 0 ? shards : [name];
  }

  /** Brings the logs up to date, and asks them when none of them is at work; anew when a partition was bad. */
  async #withLogs<T>(logs: readonly FollowedLog[], options: AskOptions, work: () => T): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      for (const log of logs) await log.catchUp(options);
      options.signal?.throwIfAborted();
      try {
        return await holdAll(logs, work);
      } catch (error) {
        if (!(error instanceof PartitionUnusable) || attempt === TRIES_MAX) throw error;
        for (const log of logs) await log.exclusively(() => log.index.drop(error));
      }
    }
  }

  #unknown(asked: Question, typed: Question, logs: readonly FollowedLog[]): Unknown {
    const damage: AnswerProblem[] = [];
    const unknown = asked.where.flatMap((condition, at) => {
      if (logs.some(({ index }) => isKnown(index, condition))) return [];
      const names = new Set<string>();
      for (const field of condition.fields) {
        for (const { index } of logs) knownNames(index, field, names, NAMES_MAX);
      }
      const listed = condition.values.find((value) => names.has(value));
      if (listed !== undefined) {
        damage.push(...logs.flatMap((log) => selfContradiction(log, condition, listed)));
        return [];
      }
      const near = condition.values.flatMap((value) => nearestNames(value, names));
      const original = typed.where[at] ?? condition;
      return [{ condition: original, near: [...new Set(near)].slice(0, 3) }];
    });
    return { unknown, damage };
  }
}

/** Why there is no event: values that no log knows, or an index that is not whole. */
interface Unknown {
  readonly unknown: readonly UnknownValue[];
  readonly damage: readonly AnswerProblem[];
}

const NOTHING_UNKNOWN: Unknown = { unknown: [], damage: [] };

/** A value is listed only together with the events that have it. */
function selfContradiction(
  { index, source }: FollowedLog,
  { fields }: Question['where'][number],
  value: string,
): readonly AnswerProblem[] {
  const isListed = fields.some((field) => {
    const names = new Set<string>();
    knownNames(index, field, names, NAMES_MAX);
    return names.has(value);
  });
  const detail = `the index lists ${fields.join(', ')} '${value}', and no event that has it: remove its folder, it is made again`;
  return isListed ? [{ code: 'index-damaged', log: source.name, detail }] : [];
}

/** Runs `work` when all of the logs have nothing else to do, and keeps them from doing anything meanwhile. */
function holdAll<T>(logs: readonly FollowedLog[], work: () => T): Promise<T> {
  const [first, ...rest] = logs;
  if (first === undefined) return Promise.resolve().then(work);
  return first.exclusively(() => holdAll(rest, work));
}

async function readRow(
  candidate: Candidate & { readonly run: Parameters<Candidate['source']['read']>[0]['run'] },
  question: Question,
): Promise<{ readonly row?: AnswerRow; readonly problem?: AnswerProblem }> {
  const { source, log, index } = candidate;
  try {
    const { event, leafHash } = await source.read(candidate);
    if (event === undefined || !matchesQuestion(event, question)) {
      const detail = 'found an event that was not asked for; the index is not what the log makes';
      return { problem: { code: 'index-invented', log, index, detail } };
    }
    const { origin } = source.source;
    return {
      row: { log, origin, index, leafHash: Buffer.from(leafHash).toString('hex'), event },
    };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { problem: { code: 'log-damaged', log, index, detail } };
  }
}

function positionOf({ at, log, index }: Candidate) {
  return { at, log, index };
}

function count(found: readonly { readonly matches: readonly BlockMatches[] }[]): number {
  return found.reduce(
    (sum, { matches }) => sum + matches.reduce((some, each) => some + each.count, 0),
    0,
  );
}

function domainOf(origin: string): string {
  return origin.split('/')[0] ?? origin;
}

function isSameSource(a: LogSource, b: LogSource): boolean {
  return (
    a.origin === b.origin &&
    a.folder === b.folder &&
    a.indexFolder === b.indexFolder &&
    a.verifierKey === b.verifierKey
  );
}
