import { createHash } from 'node:crypto';
import type { Event, Signal } from '@countersign/model';
import { createRiskEngine, type RiskEngine, type RiskEngineOptions } from '@countersign/risk';
import { DAY, MONDAY, type ReadOptions, read, serviceReads, workload } from './traffic.ts';

/** An engine and the clock that it sees, moved by what it observes. */
export interface Scene {
  readonly engine: RiskEngine;
  /** Every signal so far. */
  readonly signals: Signal[];
  nowMs: number;
  observe(event: Event): readonly Signal[];
  read(options: ReadOptions): readonly Signal[];
  /** Moves the clock, reviewing every minute as an authority does. */
  wait(untilMs: number): readonly Signal[];
}

export function scene(options: Omit<RiskEngineOptions, 'now'> = {}, nowMs = MONDAY): Scene {
  const signals: Signal[] = [];
  const stage: Scene = {
    engine: createRiskEngine({ ...options, now: () => stage.nowMs }),
    signals,
    nowMs,
    observe(event) {
      if (event.replayed !== true) stage.nowMs = Math.max(stage.nowMs, event.at);
      const raised = stage.engine.observe(event);
      signals.push(...raised);
      return raised;
    },
    read(options) {
      return read(options).flatMap((event) => stage.observe(event));
    },
    wait(untilMs) {
      const raised: Signal[] = [];
      while (stage.nowMs < untilMs) {
        stage.nowMs = Math.min(untilMs, stage.nowMs + 60_000);
        raised.push(...stage.engine.review());
      }
      signals.push(...raised);
      return raised;
    },
  };
  return stage;
}

export const ALICE = workload('alice-app');
/** The end of the four weeks that {@link trained} lived through: a Monday, 00:00 UTC. */
export const TRAINED_UNTIL = MONDAY + 28 * DAY;

let snapshot: Uint8Array | undefined;

/** A scene in which four services have four weeks of history; ALICE makes 60 requests an hour. */
export function trained(): Scene {
  if (snapshot === undefined) {
    const stage = scene({ requestsMax: 2000 }, TRAINED_UNTIL);
    for (const [i, subject] of [ALICE, 'bob-app', 'carol-app', 'dave-app'].entries()) {
      const name = i === 0 ? subject : workload(subject);
      const perHour = [60, 20, 30, 10][i] ?? 10;
      const span = { from: MONDAY, to: TRAINED_UNTIL };
      for (const one of serviceReads({ subject: name, seed: 40 + i, perHour, ...span })) {
        stage.read({ ...one, replayed: true });
      }
    }
    snapshot = stage.engine.snapshot();
  }
  return scene({ snapshot, requestsMax: 5000 }, TRAINED_UNTIL);
}

/** A short name for what an engine remembers, because comparing megabytes byte by byte is slow. */
export function digest({ engine }: Scene): string {
  return createHash('sha256').update(engine.snapshot()).digest('hex');
}
