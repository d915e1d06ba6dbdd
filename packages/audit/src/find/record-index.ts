import type { LogProblem, TreeHead } from '@countersign/ledger';
import type { Event } from '@countersign/model';
import type { LogSource } from './log-index.ts';
import type { Order } from './page.ts';
import type { Condition, Question } from './question.ts';

/** Rows of an answer at most. */
export const ROWS_MAX = 1000;

/** Which part of an answer is wanted. */
export interface PageRequest {
  readonly order: Order;
  /** 0 to 1000; 0 counts only. */
  readonly limit: number;
  /** Of the page before. */
  readonly cursor?: string;
}

/** One event that was asked for, read from its log; the index told where it stands and no more. */
export interface AnswerRow {
  /** The log's name. */
  readonly log: string;
  readonly origin: string;
  /** In that log. */
  readonly index: number;
  /** Of the bytes that were read: RFC 9162 §2.1.1, in hexadecimal. */
  readonly leafHash: string;
  readonly event: Event;
}

/** What an answer is about, of each log. */
export interface AnswerLog {
  readonly name: string;
  readonly origin: string;
  /** Entries that were looked at: all before this index. */
  readonly size: number;
}

/** Something that keeps an answer from being good. */
export interface AnswerProblem {
  readonly code: /** A log was entered in the log of checkpoints, and is none of those that are asked. */
    | 'log-missing'
    /** An event's time is more than 5 s before that of an event before it: it may be outside a `--from` that it should be in. */
    | 'event-time'
    /** What the log's point decides is not being collected. */
    | 'log-uncollected'
    /** The log of checkpoints is damaged, cut, or not there. */
    | 'checkpoints-damaged'
    /** The index names an event that is none of those asked for. */
    | 'index-invented'
    /** The index leaves out an event that is one of those asked for. */
    | 'index-omitted'
    /** The index contradicts itself: it lists a value, and no event that has it. */
    | 'index-damaged'
    /** The log does not hold the entry as it was written. */
    | 'log-damaged';
  readonly log: string;
  /** The entry at fault, when it is one. */
  readonly index?: number;
  readonly detail: string;
}

/** A condition that nothing in the record fits, and what was perhaps meant. */
export interface UnknownValue {
  readonly condition: Condition;
  readonly near: readonly string[];
}

/** What the record says to a question. */
export interface Answer {
  readonly rows: readonly AnswerRow[];
  /** All events asked for, over all pages. */
  readonly count: number;
  /** For the next page; absent on the last. */
  readonly cursor?: string;
  readonly logs: readonly AnswerLog[];
  readonly unknown: readonly UnknownValue[];
  /** Of rows that are not shown because of them, in the order of rows. */
  readonly problems: readonly AnswerProblem[];
}

/** What reading all of the logs found, against what the index says. */
export interface Completeness {
  /** True when the logs are sound as far as they were asked, and the index left out and invented nothing. */
  readonly isComplete: boolean;
  readonly logs: readonly CompleteLog[];
  /** How many entered checkpoints the logs were held against; absent without a log of checkpoints. */
  readonly entered?: number;
  /** In the order of logs; at most 1000, the rest is counted. */
  readonly problems: readonly AnswerProblem[];
  readonly problemsOmitted: number;
}

/** One log that was read from its first byte. */
export interface CompleteLog extends AnswerLog {
  /** Entries under a signed checkpoint; fewer than `size` when the log is damaged. */
  readonly proven: number;
  /** The last checkpoint, as signed. */
  readonly checkpoint: string;
  /** Events among the proven ones that are asked for. */
  readonly count: number;
  readonly logProblems: readonly LogProblem[];
}

/** How far the index of a log is. */
export interface IndexStatus {
  readonly name: string;
  /** Entries of the log, as far as it was told. */
  readonly logSize: number;
  readonly indexed: number;
  /** Why it does not go on: the log is damaged, or the disk of the index failed. */
  readonly trouble?: string;
  /** Partitions that were thrown away and built anew, and why; the last 100. */
  readonly rebuilt: readonly string[];
}

/** Told while something takes long. */
export interface IndexProgress {
  readonly log: string;
  readonly done: number;
  readonly of: number;
}

/** The authority's log of checkpoints: what it says of the logs must be true of them. */
export interface CheckpointSource {
  readonly folder: string;
  /** In C2SP's form; absent when it was not found, which is a fault. */
  readonly verifierKey?: string;
  /** A tree that this log itself must hold, such as the last one that witnesses cosigned. */
  readonly atLeast?: TreeHead;
}

/** Options of {@link RecordIndex.verify}. */
export interface VerifyAnswerOptions extends AskOptions {
  /** Without it, a log that was rewritten under its own key, or cut at a commit, is complete. */
  readonly checkpoints?: CheckpointSource;
}

/** Options of questions that may take long. */
export interface AskOptions {
  readonly onProgress?: (progress: IndexProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Finds events in logs. The index is kept beside them, follows them, and can be thrown away at any time; what
 * it says is never shown: each row is read from its log again.
 */
export interface RecordIndex {
  /**
   * Tells of a log, or that it has grown: `size` entries are durable. Indexed in the background; a log that
   * comes again under its name with another folder, origin or key takes the place of the one before.
   */
  follow(source: LogSource, size: number): void;
  /**
   * Answers a question, from everything that was durable when it was asked: waits until that is indexed.
   *
   * @throws {AuditError} `ERR_AUDIT_QUESTION`, `ERR_AUDIT_CURSOR`, `ERR_AUDIT_INDEX_FAILED`
   * @throws {LedgerError} `ERR_LEDGER_CORRUPT` when a log cannot be read as far as it is said to go
   */
  ask(question: Question, page: PageRequest, options?: AskOptions): Promise<Answer>;
  /**
   * Reads all of the logs that are asked, proves every entry, and holds the question against each: did the
   * index leave something out, or invent something? Each log must also hold what was entered of it in the log of
   * checkpoints, and when all logs are asked, each that was entered must be among them. About 30 µs an entry.
   */
  verify(question: Question, options?: VerifyAnswerOptions): Promise<Completeness>;
  /** Lets go of a log and of its index folder, which may then be removed; it is asked no more. */
  forget(name: string): Promise<void>;
  status(): Promise<readonly IndexStatus[]>;
  close(): Promise<void>;
}
