import { nodeDisk, parseVerifierKey, type TreeHead, verifyLog } from '@countersign/ledger';
import { TimeOrder } from '../time-order.ts';
import type { BitSet } from './block/bit-set.ts';
import type { BlockMatches } from './find-events.ts';
import type { LogSource } from './log-index.ts';
import { matchesQuestion, type Question } from './question.ts';
import type { Entered } from './read-entered.ts';
import { readStoredEvent } from './read-stored-event.ts';
import type { AnswerProblem, AskOptions, CompleteLog, Completeness } from './record-index.ts';

/** Problems that are listed; the rest is counted. */
const LISTED_MAX = 1000;
/** Progress is told each so many entries. */
const TOLD_EVERY = 10_000;

/** What the index says of one log, for {@link verifyAnswer}. */
export interface Found {
  readonly log: LogSource;
  /** How many of its entries were looked at. */
  readonly size: number;
  readonly matches: readonly BlockMatches[];
}

/** Proves every entry of the logs and holds the question against each, and against what the index says. */
export async function verifyAnswer(
  found: readonly Found[],
  options: AskOptions & {
    readonly question: Question;
    /** `isOfAll` when every log that was entered must be among `found`. */
    readonly entered?: Entered & { readonly isOfAll: boolean };
  },
): Promise<Completeness> {
  const { entered } = options;
  const problems: AnswerProblem[] = [];
  let problemCount = 0;
  const tell = (problem: AnswerProblem): void => {
    if (problemCount++ < LISTED_MAX) problems.push(problem);
  };
  for (const problem of entered?.problems ?? []) tell(problem);
  if (entered?.isOfAll) tellMissing(found, { entered, tell });
  const logs: CompleteLog[] = [];
  let held = 0;
  for (const each of found) {
    const heads = entered?.heads.get(each.log.origin) ?? [];
    held += heads.length;
    logs.push(await verifyOne(each, { ...options, heads, tell }));
  }
  const isSound = logs.every(({ proven, size, logProblems }) => {
    return proven >= size && logProblems.length === 0;
  });
  return {
    isComplete: isSound && problemCount === 0,
    logs,
    ...(entered && { entered: held }),
    problems,
    problemsOmitted: problemCount - problems.length,
  };
}

/** A log that was taken away answers nothing, and nobody would miss it. */
function tellMissing(
  found: readonly Found[],
  { entered, tell }: { readonly entered: Entered; readonly tell: (problem: AnswerProblem) => void },
): void {
  const origins = new Set(found.map(({ log }) => log.origin));
  for (const [origin, heads] of entered.heads) {
    if (origins.has(origin)) continue;
    const size = Math.max(...heads.map((head) => head.size));
    const log = origin.slice(origin.indexOf('/') + 1);
    const detail = `found no such log, expected the ${size} entries that the log of checkpoints says it had`;
    tell({ code: 'log-missing', log, detail });
  }
}

async function verifyOne(
  { log, size, matches }: Found,
  options: AskOptions & {
    readonly question: Question;
    /** Trees that the log must hold. */
    readonly heads: readonly TreeHead[];
    readonly tell: (problem: AnswerProblem) => void;
  },
): Promise<CompleteLog> {
  const { question, heads, tell, onProgress, signal } = options;
  const { name, origin } = log;
  const claims = new Claims(matches);
  const time = new TimeOrder();
  let count = 0;
  let at = 0;
  const report = await verifyLog(nodeDisk(log.folder), {
    verifiers: [parseVerifierKey(log.verifierKey)],
    atLeast: heads,
    onEntry({ index, bytes }) {
      if (index >= size) return;
      if (index % TOLD_EVERY === 0) {
        signal?.throwIfAborted();
        onProgress?.({ log: name, done: index, of: size });
      }
      const event = readStoredEvent(bytes, { origin, index, at });
      at = event.at;
      const backdated = time.next(event, index);
      if (backdated !== undefined) {
        tell({ code: 'event-time', log: name, index, detail: backdated });
      }
      const isAsked = matchesQuestion(event, question);
      const isClaimed = claims.take(index);
      if (isAsked) count++;
      if (isAsked === isClaimed) return;
      if (isAsked) {
        const detail = `found an event that was asked for, ${event.kind} ${event.id}; the index leaves it out`;
        tell({ code: 'index-omitted', log: name, index, detail });
      } else {
        const detail = `found an event that was not asked for, ${event.kind} ${event.id}; the index names it`;
        tell({ code: 'index-invented', log: name, index, detail });
      }
    },
  });
  // What the index claims of entries that nothing proves: the log's own problems say why.
  for (const index of claims.rest()) {
    tell({ code: 'index-invented', log: name, index, detail: 'found no proven entry there' });
  }
  // A log that is being written may end in the middle of a write.
  const logProblems = report.problems.filter(({ code }) => code !== 'torn');
  return {
    ...{ name, origin, size, count },
    proven: report.size,
    checkpoint: report.checkpoint,
    logProblems,
  };
}

/** What the index named, and was not yet seen in the log. */
class Claims {
  readonly #matches: readonly BlockMatches[];
  #at = 0;

  constructor(matches: readonly BlockMatches[]) {
    this.#matches = matches.toSorted((a, b) => a.block.firstIndex - b.block.firstIndex);
  }

  /** Whether the index named this entry; indexes come in ascending order. */
  take(index: number): boolean {
    for (;;) {
      const matches = this.#matches[this.#at];
      if (matches === undefined || index < matches.block.firstIndex) return false;
      const offset = index - matches.block.firstIndex;
      if (offset < matches.block.count) return remove(matches.offsets, offset);
      this.#at++;
    }
  }

  *rest(): Generator<number, void, undefined> {
    for (const { block, offsets } of this.#matches) {
      for (const offset of offsets.offsets()) yield block.firstIndex + offset;
    }
  }
}

function remove(set: BitSet, offset: number): boolean {
  if (!set.has(offset)) return false;
  set.delete(offset);
  return true;
}
