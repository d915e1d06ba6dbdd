import type { Event } from '@countersign/model';

/** One event on its way to a sink. */
export interface ExportRecord {
  /** The log it stands in, and where: what makes a duplicate recognisable. */
  readonly origin: string;
  readonly seq: number;
  readonly event: Event;
  /** The event in OCSF, as one line of JSON. */
  readonly json: string;
}

/** What a sink said to a batch. */
export type SinkAnswer =
  /** It has them: the cursor may move. */
  | { readonly kind: 'taken' }
  /** It has the batch but for `count` events, and does not say which: sending again is not allowed. */
  | { readonly kind: 'partial'; readonly count: number; readonly detail: string }
  /** It will never take this batch as it is: at least one event in it is at fault. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  /** It takes nothing just now: the same batch again, after `afterMs` where the sink named a time. */
  | {
      readonly kind: 'later';
      readonly code: string;
      readonly detail: string;
      readonly afterMs?: number;
    };

/** Somewhere that events go to. One batch at a time. */
export interface ExportSink {
  /** No batch is longer, unless one record alone is. */
  readonly batchCountMax: number;
  /** Bytes of JSON. */
  readonly batchBytesMax: number;
  /**
   * Sends a batch of one log, in order. What it throws counts as `later`.
   *
   * @param signal aborted when the exporter closes: the answer is not waited for any longer
   */
  send(batch: readonly ExportRecord[], signal: AbortSignal): Promise<SinkAnswer>;
  close(): Promise<void>;
}
