import type { Clock } from '@countersign/model';
import type { Recorder } from '../new-event.ts';
import type { SetError } from './verify-set.ts';

const EVERY_MS = 60_000;
/** Kinds are few and known; should there be more all the same, they share one. */
const KINDS_MAX = 1000;

/** A refusal, as it is recorded. */
export interface ToldRefusal {
  /** `signal-invalid-issuer`, `signals-invalid-token` */
  readonly reason: string;
  readonly detail: string;
  readonly ip?: string;
}

/** The reason of a token that was not taken, as it is recorded. */
export function refusalReason(err: SetError | undefined): string {
  return `signal-${(err ?? 'keys_unavailable').replaceAll('_', '-')}`;
}

/** Records refusals of one kind once a minute, with how many they stand for: a stranger must not fill the log. */
export function refusalTeller(options: {
  readonly record: Recorder;
  readonly now: Clock;
}): (kind: string, refused: ToldRefusal) => Promise<void> {
  const { record, now } = options;
  const kinds = new Map<string, { untold: number; toldMs: number }>();
  return async (asked, { reason, detail, ip }) => {
    const kind = kinds.size < KINDS_MAX || kinds.has(asked) ? asked : 'any other';
    const known = kinds.get(kind) ?? { untold: 0, toldMs: Number.NEGATIVE_INFINITY };
    kinds.set(kind, known);
    known.untold += 1;
    if (now() - known.toldMs < EVERY_MS) return;
    const since = known.untold > 1 ? ` (${known.untold} since the last that was told)` : '';
    known.untold = 0;
    known.toldMs = now();
    await record({
      ...{ kind: 'authentication', result: 'refused', listener: 'signals', reason },
      detail: `${detail.slice(0, 950)}${since}`,
      ...(ip && { ip }),
    });
  };
}
