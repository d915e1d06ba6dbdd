import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openJournal } from '../journal.ts';

/** A consent, of one partner. */
export interface Consent {
  readonly id: string;
  readonly partner: string;
  readonly createdMs: number;
  readonly expires?: string;
  readonly permissions: readonly string[];
  readonly accounts: readonly string[];
}

/** What a partner asks for. */
export type ConsentWish = Omit<Consent, 'id' | 'partner' | 'createdMs'>;

type Entry =
  | { readonly kind: 'created'; readonly consent: Consent }
  | { readonly kind: 'deleted'; readonly id: string };

/** Consents, kept in the service's data folder. Others' consents look like none. */
export interface Consents {
  create(partner: string, wish: ConsentWish): Promise<Consent>;
  get(partner: string, id: string): Consent | undefined;
  /** False when there was none. */
  delete(partner: string, id: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens the consents in `folder`. */
export async function openConsents(folder: string, now: () => number): Promise<Consents> {
  const journal = await openJournal<Entry>(join(folder, 'consents.ndjson'));
  const consents = new Map<string, Consent>();
  for (const entry of journal.entries) {
    if (entry.kind === 'created') consents.set(entry.consent.id, entry.consent);
    else consents.delete(entry.id);
  }
  const get = (partner: string, id: string): Consent | undefined => {
    const consent = consents.get(id);
    return consent?.partner === partner ? consent : undefined;
  };
  return {
    get,
    create: async (partner, wish) => {
      const id = randomBytes(16).toString('base64url');
      const consent: Consent = { ...wish, id, partner, createdMs: now() };
      await journal.append({ kind: 'created', consent });
      consents.set(id, consent);
      return consent;
    },
    delete: async (partner, id) => {
      if (!get(partner, id)) return false;
      await journal.append({ kind: 'deleted', id });
      consents.delete(id);
      return true;
    },
    close: () => journal.close(),
  };
}
