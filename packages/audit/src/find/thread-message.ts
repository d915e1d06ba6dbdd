import type { LedgerErrorCode } from '@countersign/ledger';
import type { AuditErrorCode } from '../audit-error.ts';
import type { LogSource } from './log-index.ts';
import type { Question } from './question.ts';
import type { CheckpointSource, IndexProgress, PageRequest } from './record-index.ts';

/** What the index's thread is asked. */
export type ThreadCall =
  | { readonly kind: 'follow'; readonly source: LogSource; readonly size: number }
  | {
      readonly kind: 'ask';
      readonly id: number;
      readonly question: Question;
      readonly page: PageRequest;
    }
  | {
      readonly kind: 'verify';
      readonly id: number;
      readonly question: Question;
      readonly checkpoints?: CheckpointSource;
    }
  | { readonly kind: 'forget'; readonly id: number; readonly name: string }
  | { readonly kind: 'status'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number }
  | { readonly kind: 'abort'; readonly id: number };

/** What it answers. */
export type ThreadReply =
  | { readonly kind: 'progress'; readonly id: number; readonly progress: IndexProgress }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ThreadError };

/** An error on its way between threads, which would lose its class and its code. */
export interface ThreadError {
  readonly message: string;
  readonly code?: AuditErrorCode | LedgerErrorCode;
}
