import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StorageConfig } from '@countersign/policy';
import { type Database, type FactStanding, openDatabase, StateError } from '@countersign/state';
import { CommandError } from '../../command-line/command.ts';
import type { DataFolder } from '../../data-folder.ts';
import { nameOf, openStorage, readPlace, writePlace } from './kept-place.ts';

/** What an authority's processes claim in a database that several could open: one of them runs at a time. */
export const AUTHORITY_CLAIM = 'authority';

/**
 * Opens the state of the authority where the configuration says, for this process alone.
 *
 * @throws {CommandError} when it is somewhere else until now, or another authority runs on it
 */
export async function openState(
  folder: DataFolder,
  {
    storage,
    onLost,
  }: { readonly storage: StorageConfig | undefined; readonly onLost: (error: Error) => void },
): Promise<{ readonly database: Database; close(): Promise<void> }> {
  const place = await readPlace(folder);
  if (storage === undefined) {
    if (place) {
      throw new CommandError(
        `cannot start the authority: found its state in PostgreSQL (${nameOf(place)}), expected authority.storage to name that; without its state it would be another authority. To begin anew remove ${folder.storageFile}`,
      );
    }
    const database = openDatabase({ file: folder.stateFile });
    return { database, close: () => database.close() };
  }
  if (existsSync(folder.stateFile)) {
    throw new CommandError(
      `cannot start the authority: found its state in ${folder.stateFile}, expected it in PostgreSQL (${nameOf(storage)}); move it there: countersign state move`,
    );
  }
  const database = await openStorage(storage);
  try {
    const release = await database.claim(AUTHORITY_CLAIM, { onLost });
    await mkdir(dirname(folder.storageFile), { recursive: true, mode: 0o700 });
    await writePlace(folder, storage);
    return {
      database,
      async close() {
        await release();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    if (!(error instanceof StateError) || error.code !== 'ERR_STATE_BUSY') throw error;
    throw new CommandError(
      `cannot start the authority: found that another one runs on ${nameOf(storage)}, expected none; one runs at a time`,
    );
  }
}

/** Says once that the database is away, and once that it is back. */
export function tellStanding({
  warn,
  alarm,
}: {
  readonly warn: (text: string) => void;
  readonly alarm: (detail: string) => Promise<unknown>;
}): (standing: FactStanding) => void {
  return (standing) => {
    if (standing.isCurrent) {
      warn('the state is reached again');
      return;
    }
    const detail = `facts are not vouched for: ${standing.error.message}`.slice(0, 1000);
    warn(`alarm state-away: ${detail}`);
    alarm(detail).catch((error: Error) => warn(`the alarm was not recorded: ${error.message}`));
  };
}
