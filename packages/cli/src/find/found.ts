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

/** A log that the authority refuses to collect any more. */
export interface UncollectedLog extends CollectorRefusal {
  readonly log: string;
}

/** What was found, before anybody sees it. */
export interface Found {
  readonly answer: Answer;
  /** Logs asked whose newest events are not in the answer, as far as the authority knows. */
  readonly uncollected?: readonly UncollectedLog[];
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
  const { checkpoints: find, refusal, ...askOptions } = options;
  const answer = await index.ask(question, page, askOptions);
  const uncollected = answer.logs.flatMap(({ name }) => {
    const refused = refusal?.(name);
    return refused === undefined ? [] : [{ log: name, ...refused }];
  });
  const told = uncollected.length > 0 ? { answer, uncollected } : { answer };
  if (!isComplete) return told;
  const checkpoints = await find?.();
  const verifyOptions = { ...askOptions, ...(checkpoints && { checkpoints }) };
  const completeness = await index.verify(question, verifyOptions);
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
