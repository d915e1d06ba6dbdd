import { randomBytes } from 'node:crypto';
import { createSealer, openingsOf, openRecordKeyStore, openRecordKeys } from '@countersign/audit';
import type { Event } from '@countersign/model';
import { openDatabase } from '@countersign/state';

interface RecordSealer {
  seal(event: Event): Event;
  open(event: Event): readonly Uint8Array[];
}

/** Seals events as a point does, and opens them as the authority does. */
export async function recordSealer(): Promise<RecordSealer> {
  const database = openDatabase({ file: ':memory:' });
  const store = await openRecordKeyStore({ database, secret: randomBytes(32), now: Date.now });
  const keys = openRecordKeys(await store.keysFor('edge', ['evidence']));
  const seal = createSealer({ holder: 'edge', keys: () => keys, isPersonal: () => false });
  return {
    seal: (event: Event): Event => seal({ ...event, retention: 'evidence' } as Event),
    open: (event: Event) => openingsOf(event, store.open),
  };
}
