import type {
  Answer,
  CheckpointSource,
  Completeness,
  IndexProgress,
  RecordIndex,
} from '@countersign/audit';
import type { RecordQuestion } from './record-question.ts';

/** What was found, before anybody sees it. */
export interface Found {
  readonly answer: Answer;
  /** When it was asked for. */
  readonly completeness?: Completeness;
  /** The event that tells of this reading; absent when no authority wrote one. */
  readonly recorded?: { readonly origin: string; readonly seq: number };
}

/** Puts a question to an index. */
export async function findIn(
  index: RecordIndex,
  asked: RecordQuestion,
  options: {
    readonly onProgress?: (progress: IndexProgress) => void;
    readonly signal?: AbortSignal;
    /** Where the authority's log of checkpoints is; asked for when completeness is. */
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
  const { checkpoints: find, ...askOptions } = options;
  const answer = await index.ask(question, page, askOptions);
  if (!isComplete) return { answer };
  const checkpoints = await find?.();
  const verifyOptions = { ...askOptions, ...(checkpoints && { checkpoints }) };
  return { answer, completeness: await index.verify(question, verifyOptions) };
}
