import type { RecordReport } from '@countersign/audit';
import { EVENT_KINDS } from './run-events.ts';

/** What verifying one log found. */
export interface LogVerdict {
  readonly name: string;
  readonly folder: string;
  readonly ok: boolean;
  /** Who says that this is the log's key. */
  readonly keyFrom: 'you' | 'the authority' | 'the log itself';
  readonly size: number;
  readonly checkpoints: number;
  readonly events: RecordReport['counts'];
  readonly unfinished: number;
  /** True where retention removed the entries: what is left proves them. */
  readonly entriesRemoved?: true;
  /** Where, and what. */
  readonly problems: readonly string[];
  /** Not faults: an unfinished write at the end, which nobody was told of as done; what was not compared. */
  readonly notes: readonly string[];
}

/** No event of any kind. */
export const NO_EVENTS = Object.fromEntries(
  EVENT_KINDS.map((kind) => [kind, 0]),
) as RecordReport['counts'];
