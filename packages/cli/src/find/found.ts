import type {
  Answer,
  CheckpointSource,
  CollectorRefusal,
  Completeness,
  Condition,
  IndexProgress,
  RecordIndex,
} from '@countersign/audit';
import type { RecordQuestion } from './record-question.ts';
import { faultOfRemoved, type RemovedLog, type RemovedPlace, removedOf } from './removed-logs.ts';

/** A log that the authority refuses to collect any more. */
export interface UncollectedLog extends CollectorRefusal {
  readonly log: string;
}

/** What was found, before anybody sees it. */
export interface Found {
  readonly answer: Answer;
  /** Logs asked whose newest events are not in the answer, as far as the authority knows. */
  readonly uncollected?: readonly UncollectedLog[];
  /** Logs asked whose entries were removed when their time was over: they are in no answer. */
  readonly removed?: readonly RemovedLog[];
  /** Rows shown with names of which something stays sealed, for its key was destroyed. */
  readonly closed?: number;
  /** When it was asked for. */
  readonly completeness?: Completeness;
  /** The event that tells of this reading; absent when no authority wrote one. */
  readonly recorded?: { readonly origin: string; readonly seq: number };
}

/** Puts a question to an index. */
export async function findIn(
  index: RecordIndex,
  asked: Omit<RecordQuestion, 'where' | 'resolve'> & { readonly where: readonly Condition[] },
  options: {
    readonly onProgress?: (progress: IndexProgress) => void;
    readonly signal?: AbortSignal;
    /** Where the authority's log of checkpoints is; asked for when completeness is. */
    /** What is known of a log that is not being collected. */
    readonly refusal?: (log: string) => CollectorRefusal | undefined;
    readonly checkpoints?: () => Promise<CheckpointSource | undefined>;
    readonly removed?: () => Promise<readonly RemovedLog[]>;
    /** Where what is left of a removed log is. */
    readonly placeOf?: (log: RemovedLog) => RemovedPlace | undefined;
  },
): Promise<Found> {
  const { where, logs, fromMs, toMs, order, limit, cursor, isComplete } = asked;
  const question = {
    where,
    ...(logs && { logs }),
    ...(fromMs !== undefined && { fromMs }),
    ...(toMs !== undefined && { toMs }),
  };
  const page = { order, limit, ...(cursor !== undefined && { cursor }) };
  const { checkpoints: find, refusal, removed: findRemoved, placeOf, ...askOptions } = options;
  const answer = await index.ask(question, page, askOptions);
  const uncollected = answer.logs.flatMap(({ name }) => {
    const refused = refusal?.(name);
    return refused === undefined ? [] : [{ log: name, ...refused }];
  });
  const removed = removedOf((await findRemoved?.()) ?? [], logs);
  const told = {
    answer,
    ...(uncollected.length > 0 && { uncollected }),
    ...(removed.length > 0 && { removed }),
  };
  if (!isComplete) return told;
  const checkpoints = await find?.();
  const verifyOptions = { ...askOptions, ...(checkpoints && { checkpoints }) };
  const verified = await index.verify(question, verifyOptions);
  const completeness = await withRemoved(verified, removed, placeOf);
  if (uncollected.length === 0) return { ...told, completeness };
  const problems = uncollected.map(({ log, code, sinceMs, detail }) => ({
    code: 'log-uncollected' as const,
    log,
    detail: `found it not collected since ${new Date(sinceMs).toISOString()}: ${code}: ${detail}`,
  }));
  return {
    ...told,
    completeness: {
      ...completeness,
      isComplete: false,
      problems: [...problems, ...completeness.problems],
    },
  };
}

/** That entries were removed is told by itself, and is no fault where what is left of their log proves it. */
async function withRemoved(
  found: Completeness,
  removed: readonly RemovedLog[],
  placeOf: ((log: RemovedLog) => RemovedPlace | undefined) | undefined,
): Promise<Completeness> {
  if (removed.length === 0) return found;
  const names = new Set(removed.map(({ name }) => name));
  const problems = found.problems.filter(
    ({ code, log }) => code !== 'log-missing' || !names.has(log),
  );
  for (const log of removed) {
    const place = placeOf?.(log);
    const detail = place
      ? await faultOfRemoved(log, place)
      : 'found no key that it is verified with';
    if (detail !== undefined) problems.push({ code: 'log-damaged', log: log.name, detail });
  }
  const isComplete =
    problems.length === 0 &&
    found.problemsOmitted === 0 &&
    found.logs.every(({ logProblems }) => logProblems.length === 0);
  return { ...found, problems, isComplete };
}
