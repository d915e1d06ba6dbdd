import type { Recorder } from './record/own-record.ts';
import type { Access } from './record/record-access.ts';

/** Refusals of one caller that are each an event, until it pauses; then one in ten seconds tells how many it stands for. */
const BURST = 20;
const EVERY_MS = 10_000;
/** Callers that are told apart; with more, the one that was refused longest ago is forgotten. */
const CALLERS_MAX = 1000;

interface Caller {
  tokens: number;
  filledAtMs: number;
  /** Refused since the last event, and in none. */
  omitted: number;
}

/** Records that somebody was refused a reading; resolves when the event is durable, or when this one goes into a later one's count. */
export type RefusalRecorder = (access: Access, asked: string) => Promise<void>;

/** Refused callers could else fill the record by asking again and again. */
export function refusalRecorder(options: {
  readonly record: Recorder;
  readonly now: () => number;
}): RefusalRecorder {
  const { record, now } = options;
  const callers = new Map<string, Caller>();
  const callerOf = (by: string): Caller => {
    const nowMs = now();
    const known = callers.get(by) ?? { tokens: BURST, filledAtMs: nowMs, omitted: 0 };
    // Set again, so that the map stands in the order of use.
    callers.delete(by);
    callers.set(by, known);
    const [oldest] = callers.keys();
    if (callers.size > CALLERS_MAX && oldest !== undefined) callers.delete(oldest);
    const filled = Math.max(0, nowMs - known.filledAtMs) / EVERY_MS;
    known.tokens = Math.min(BURST, known.tokens + filled);
    known.filledAtMs = nowMs;
    return known;
  };
  return async ({ by, refusal = 'reader-unnamed' }, asked) => {
    const caller = callerOf(by);
    if (caller.tokens < 1) {
      caller.omitted++;
      return;
    }
    caller.tokens--;
    const { omitted } = caller;
    caller.omitted = 0;
    await record({
      kind: 'administration',
      action: 'record-read-refused',
      by,
      detail: { asked: asked.slice(0, 300), reason: refusal, ...(omitted > 0 && { omitted }) },
    });
  };
}
