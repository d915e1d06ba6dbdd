import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRecordKeyStore, revealEvent } from '@countersign/audit';
import { openKeyring } from '@countersign/identity';
import type { Event } from '@countersign/model';
import { openDatabase } from '@countersign/state';

/** The events with what is sealed in them, by the keys of the stopped authority of a data folder. */
export async function opened(data: string, events: readonly Event[]): Promise<readonly Event[]> {
  const authority = join(data, 'authority');
  const passphrase = readFileSync(join(authority, 'passphrase'), 'utf8').trim();
  const { recordSecret } = await openKeyring({ folder: join(authority, 'keys'), passphrase });
  const database = openDatabase({ file: join(authority, 'state.db') });
  try {
    const { open } = await openRecordKeyStore({ database, secret: recordSecret, now: Date.now });
    return events.map((event) => revealEvent(event, open).event);
  } finally {
    await database.close();
  }
}
