import type { WitnessTrouble, WitnessTroubleCode } from '@countersign/ledger';
import type { Recorder } from './own-record.ts';

/** Tries of a witness that cannot be reached before it is an alarm: with back-off, some five seconds. */
const UNREACHABLE_ATTEMPTS = 3;
const DETAIL_LENGTH_MAX = 1000;

type WitnessAlarm = 'witness-unreachable' | 'witness-refused' | 'witness-fork';

const ALARMS: Readonly<Record<WitnessTroubleCode, WitnessAlarm>> = {
  unreachable: 'witness-unreachable',
  'unknown-log': 'witness-refused',
  signature: 'witness-refused',
  invalid: 'witness-refused',
  fork: 'witness-fork',
};

/** What goes wrong with witnesses and the log of checkpoints, as alarms in the authority's own log. */
export interface WitnessAlarms {
  /** Each kind once for each witness, and again only after it has cosigned. */
  trouble(name: string, trouble: WitnessTrouble | undefined): void;
  /** The log of checkpoints takes no more. */
  failure(detail: string): void;
  /** The log of checkpoints is not the one that was cosigned. */
  rollback(detail: string): void;
}

/** Alarms that are recorded and warned of; a log that cannot hold one stops nothing. */
export function witnessAlarms({
  record,
  warn,
}: {
  readonly record: Recorder;
  readonly warn: (text: string) => void;
}): WitnessAlarms {
  const told = new Map<string, Set<WitnessAlarm>>();
  const raise = (alarm: string, text: string): void => {
    const detail = text.slice(0, DETAIL_LENGTH_MAX);
    warn(`alarm ${alarm}: ${detail}`);
    record({ kind: 'alarm', alarm, detail }).catch((error: Error) =>
      warn(`the alarm was not recorded: ${error.message}`),
    );
  };
  return {
    trouble(name, trouble) {
      if (trouble === undefined) {
        told.delete(name);
        return;
      }
      const { code, detail, attempts } = trouble;
      const alarm = ALARMS[code];
      if (alarm === 'witness-unreachable' && attempts < UNREACHABLE_ATTEMPTS) return;
      const tolds = told.get(name) ?? new Set();
      told.set(name, tolds);
      if (tolds.has(alarm)) return;
      tolds.add(alarm);
      raise(alarm, `${name}: ${code}: ${detail}`);
    },
    failure: (detail) => raise('checkpoint-log-failed', detail),
    rollback: (detail) => raise('checkpoint-log-rollback', detail),
  };
}
