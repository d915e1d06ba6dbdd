import {
  ASSURANCES,
  type Assurance,
  POSTURE_SIGNALS,
  type PostureSignal,
  type TriState,
} from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import type { DeviceTables } from '../device-tables.ts';
import type { KeptObservation } from './merge-posture.ts';

/** The last rating of one source. */
export interface KeptScore {
  readonly source: string;
  readonly value: number;
  readonly observedAtMs: number;
  readonly assurance: Assurance;
}

/** All that sources said last of a device. */
export interface KeptPosture {
  readonly signals: readonly KeptObservation[];
  readonly scores: readonly KeptScore[];
}

/** One thing that a source says, to be kept. */
export interface NewObservation {
  readonly device: string;
  readonly signal: PostureSignal | 'score';
  readonly source: string;
  readonly value: string;
  readonly observedAtMs: number;
  readonly assurance: Assurance;
}

const SIGNALS: ReadonlySet<string> = new Set(POSTURE_SIGNALS);
/** SQLite takes 32,766 parameters; PostgreSQL 65,535. */
const IDS_MAX = 1000;

/** What is kept of some devices, by device. */
export async function observationsOf(
  database: Pick<Database, 'tables'>,
  devices: readonly string[],
): Promise<ReadonlyMap<string, KeptPosture>> {
  const found = new Map<string, { signals: KeptObservation[]; scores: KeptScore[] }>();
  for (let start = 0; start < devices.length; start += IDS_MAX) {
    const rows = await database
      .tables<DeviceTables>()
      .selectFrom('device_observation')
      .selectAll()
      .where('device', 'in', devices.slice(start, start + IDS_MAX))
      .execute();
    for (const { device, signal, source, value, observed_ms, assurance } of rows) {
      const kept = found.get(device) ?? { signals: [], scores: [] };
      found.set(device, kept);
      const common = { source, observedAtMs: Number(observed_ms), assurance };
      if (!ASSURANCES.includes(assurance)) continue;
      if (signal === 'score') kept.scores.push({ ...common, value: Number(value) });
      else if (SIGNALS.has(signal)) {
        kept.signals.push({
          ...common,
          signal: signal as PostureSignal,
          value: value as TriState,
        });
      }
    }
  }
  return found;
}

/** Puts observations in the place of those that the same source gave of the same signal before. */
export async function keepObservations(
  transaction: Transaction,
  observations: readonly NewObservation[],
): Promise<void> {
  const tables = transaction.tables<DeviceTables>();
  for (const { device, signal, source, value, observedAtMs, assurance } of observations) {
    await tables
      .insertInto('device_observation')
      .values({ device, signal, source, value, observed_ms: observedAtMs, assurance })
      .onConflict((conflict) =>
        conflict
          .columns(['device', 'signal', 'source'])
          .doUpdateSet({ value, observed_ms: observedAtMs, assurance }),
      )
      .execute();
  }
}
