import { statSync } from 'node:fs';
import type { StorageConfig } from '@countersign/policy';
import type { FactStanding } from '@countersign/state';

/** What callers are told. */
export const STATE_AWAY = 'the database that holds the state is away; try again';

/** Where the state is, without secrets, and whether it can be used. */
export type StorageStatus = (
  | { readonly engine: 'sqlite'; readonly file: string }
  | {
      readonly engine: 'postgres';
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly user: string;
    }
) & {
  /** Since when facts are not vouched for, because the database is not reached or went back, and what was found. */
  readonly away?: { readonly sinceMs: number; readonly fault: string };
};

/** Follows whether the state can be used. */
export function storageStatus({
  storage,
  stateFile,
  now,
}: {
  /** Absent: SQLite. */
  readonly storage: StorageConfig | undefined;
  readonly stateFile: string;
  readonly now: () => number;
}): { see(standing: FactStanding): void; status(): StorageStatus } {
  let away: StorageStatus['away'];
  const see = (standing: FactStanding): void => {
    away = standing.isCurrent
      ? undefined
      : { sinceMs: away?.sinceMs ?? now(), fault: standing.error.message };
  };
  return {
    see,
    status() {
      if (storage !== undefined) {
        const { host, port, database, user } = storage;
        return { engine: 'postgres', host, port, database, user, ...(away && { away }) };
      }
      // Nobody tells of a file that was moved away: this process writes on into it, and the next one would begin anew.
      const isThere = statSync(stateFile, { throwIfNoEntry: false }) !== undefined;
      const error = new Error('found no file');
      see(isThere ? { isCurrent: true } : { isCurrent: false, error });
      return { engine: 'sqlite', file: stateFile, ...(away && { away }) };
    },
  };
}

/** `PostgreSQL countersign@db.bank.example:5432/countersign, reached` */
export function storageText(
  status: StorageStatus,
  { timeOf }: { readonly timeOf: (ms: number) => string },
): string {
  const place =
    status.engine === 'sqlite'
      ? `SQLite ${status.file}`
      : `PostgreSQL ${status.user}@${status.host}:${status.port}/${status.database}`;
  const { away } = status;
  return `${place}, ${away ? `AWAY since ${timeOf(away.sinceMs)}: ${away.fault}` : 'reached'}`;
}
