import { readFile, rename, writeFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import type { Collector } from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import { type Clock, type Event, type Playbook, parseEvent, type Signal } from '@countersign/model';
import {
  createResponder,
  createRiskEngine,
  type Responder,
  type RiskEngine,
} from '@countersign/risk';
import type { FactLog } from '@countersign/state';
import type { Recorder } from './record/own-record.ts';

const KEEP_EVERY_MS = 15_000;
const REVIEW_EVERY_MS = 30_000;
const LEARNED_AT_ONCE = 200;

/** Behaviour scored: collected events in, signals out, answered by playbooks. */
export interface RiskLoop {
  readonly engine: RiskEngine;
  /** Scores events of a point's log, in order; `next` is the index after the last of them. */
  observe(point: string, events: readonly Event[], next: number): void;
  /** Scores what was collected while nobody scored. */
  catchUp(collector: Collector, points: readonly string[]): Promise<void>;
  /**
   * Teaches the baseline from a file of replayed events, a little at a time beside other work; what is
   * observed meanwhile is scored when it is done. Returns how many events taught.
   */
  learn(historyFile: string): Promise<number>;
  setPlaybooks(playbooks: readonly Playbook[]): void;
  /** Answers a signal from elsewhere: facts of it, and playbooks; rejects when it could not be recorded. */
  respond(signal: Signal): Promise<void>;
  /** Forgets subjects; what is kept on disk is without them when it resolves. */
  forget(isForgotten: (subject: string) => boolean): Promise<void>;
  /** True when there was no earlier state. */
  readonly isNew: boolean;
  close(): Promise<void>;
}

/** What the loop needs. */
export interface RiskLoopOptions {
  readonly snapshotFile: string;
  /** The event by its names, or nothing when they were destroyed. */
  readonly reveal: (event: Event) => Event | undefined;
  readonly identity: Identity;
  readonly factLog: FactLog;
  readonly record: Recorder;
  readonly playbooks: readonly Playbook[];
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

interface Kept {
  /** By point: the index up to which its log was scored. */
  readonly cursors: Record<string, number>;
  /** The engine's snapshot, base64. */
  readonly engine: string;
}

/** Opens the loop with what was kept; a snapshot that cannot be read stops the start, loudly. */
export async function openRiskLoop(options: RiskLoopOptions): Promise<RiskLoop> {
  const { snapshotFile, identity, factLog, record, now, warn } = options;
  const kept = await readKept(snapshotFile);
  const cursors: Record<string, number> = { ...kept?.cursors };
  const engine = createRiskEngine({
    now,
    ...(kept && { snapshot: Buffer.from(kept.engine, 'base64') }),
  });
  const by = 'system:risk';
  const makeResponder = (playbooks: readonly Playbook[]): Responder =>
    createResponder({
      playbooks,
      now,
      record: async (event) => void (await record(event)),
      act: {
        narrowSession: async (session, reason) => {
          const result = await identity.narrow({ session, readOnly: true, reason, by });
          if (!result.isGranted) throw new Error(`session ${session} not narrowed: ${result.code}`);
        },
        revokeSession: async (session, reason) => {
          const result = await identity.revoke({ target: 'session', value: session, reason, by });
          if (!result.isGranted) throw new Error(`session ${session} not revoked: ${result.code}`);
        },
        revokeSessions: async (subject, reason) => {
          for (const value of await identity.sessionsOf(subject)) {
            const result = await identity.revoke({ target: 'session', value, reason, by });
            // It may have ended by itself meanwhile.
            if (!result.isGranted && result.code !== 'not-found') {
              throw new Error(`session ${value} not revoked: ${result.code}`);
            }
          }
        },
        disableSubject: async (subject, reason) => {
          const result = await identity.revoke({ target: 'subject', value: subject, reason, by });
          if (!result.isGranted) throw new Error(`subject ${subject} not revoked: ${result.code}`);
        },
        putRisk: async (fact) => void (await factLog.append({ puts: [fact] })),
      },
    });
  let responder = makeResponder(options.playbooks);
  const answering = new Set<Promise<unknown>>();
  const answer = (signal: Signal): void => {
    const done: Promise<unknown> = responder
      .handle(signal)
      .catch((error: Error) => warn(`a signal was not answered: ${error.message}`))
      .finally(() => answering.delete(done));
    answering.add(done);
  };
  const keep = async (): Promise<void> => {
    const state: Kept = { cursors, engine: Buffer.from(engine.snapshot()).toString('base64') };
    const half = `${snapshotFile}.new`;
    await writeFile(half, JSON.stringify(state), { mode: 0o600 });
    await rename(half, snapshotFile);
  };
  let keeping: Promise<void> = Promise.resolve();
  // One after the other: they write the same file, and an older state must not come last.
  const keepInTurn = (): Promise<void> => keeping.catch(() => {}).then(keep);
  const timer = setInterval(() => {
    keeping = keepInTurn().catch((error: Error) =>
      warn(`cannot keep the risk state: ${error.message}`),
    );
  }, KEEP_EVERY_MS);
  timer.unref();
  // Evidence fades by time alone: a level also falls when nothing happens.
  const reviewer = setInterval(() => {
    for (const signal of engine.review()) answer(signal);
  }, REVIEW_EVERY_MS);
  reviewer.unref();

  let isLearning = false;
  let waiting: [string, readonly Event[], number][] = [];
  const observe = (point: string, events: readonly Event[], next: number): void => {
    if (isLearning) {
      waiting.push([point, events, next]);
      return;
    }
    cursors[point] = Math.max(cursors[point] ?? 0, next);
    for (const event of events) {
      // Who was erased has no behaviour any more.
      const named = options.reveal(event);
      if (named) for (const signal of engine.observe(named)) answer(signal);
    }
  };
  return {
    engine,
    isNew: kept === undefined,
    observe,
    async catchUp(collector, points) {
      for (const point of points) {
        if ((await collector.size(point)) === undefined) continue;
        for await (const events of collector.events(point, cursors[point] ?? 0)) {
          observe(point, events, (events.at(-1)?.seq ?? -1) + 1);
        }
      }
    },
    async learn(historyFile) {
      isLearning = true;
      let count = 0;
      try {
        const lines = (await readFile(historyFile, 'utf8')).split('\n');
        for (const [index, line] of lines.entries()) {
          if (index % LEARNED_AT_ONCE === 0) await turn();
          if (line === '') continue;
          const event = parseEvent(JSON.parse(line));
          // Only what says that it is replayed may teach without having happened.
          if (event.replayed !== true) continue;
          engine.observe(event);
          count += 1;
        }
      } finally {
        isLearning = false;
        const behind = waiting;
        waiting = [];
        for (const [point, events, next] of behind) observe(point, events, next);
      }
      await keep();
      return count;
    },
    respond: async (signal) => void (await responder.handle(signal)),
    setPlaybooks(playbooks) {
      responder = makeResponder(playbooks);
    },
    async forget(isForgotten) {
      engine.forget(isForgotten);
      const kept = keepInTurn();
      keeping = kept.catch(() => {});
      await kept;
    },
    async close() {
      clearInterval(timer);
      clearInterval(reviewer);
      await Promise.all(answering);
      await keeping;
      await keep();
    },
  };
}

async function readKept(file: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
