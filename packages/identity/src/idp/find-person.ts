import { ModelError, subjectFromId } from '@countersign/model';
import type { Database } from '@countersign/state';
import { personByExternalId, personByUserName, personsByEmail } from '../people/directory.ts';
import type { PeopleTables } from '../people/people-tables.ts';
import type { IdentityProvider } from './identity-provider.ts';

/** Whom a claim names, or why it names nobody. */
export type FoundPerson = { readonly subject: string } | { readonly fault: string };

const VALUE_LENGTH_MAX = 512;

/**
 * The one place that says who of ours the person of an ID token is. Nobody is made here. Whether somebody is enabled is asked by the caller.
 */
export async function findPerson(
  claims: Readonly<Record<string, unknown>>,
  {
    provider: { subjects: kind, person },
    database,
    trustDomain,
  }: {
    readonly provider: Pick<IdentityProvider, 'subjects' | 'person'>;
    readonly database: Database;
    readonly trustDomain: string;
  },
): Promise<FoundPerson> {
  const { claim, matches, scimClient } = person;
  const value = claims[claim];
  if (typeof value !== 'string' || value === '' || value.length > VALUE_LENGTH_MAX) {
    return { fault: `found no '${claim}', expected text` };
  }
  // Directories compare by compatibility forms; an account there of the name 'ａlice' must not be alice here.
  if (value.normalize('NFKC') !== value || /[\p{C}\p{Z}]/u.test(value)) {
    return { fault: `found '${claim}' with characters that stand for others` };
  }
  if (claim === 'email' && claims['email_verified'] !== true) {
    return { fault: 'found an address that the provider did not verify' };
  }
  if (matches === 'id') return byId(value, { kind, trustDomain });
  const tables = database.tables<PeopleTables>();
  const found = await (async () => {
    switch (matches) {
      case 'externalId':
        return [await personByExternalId(tables, `scim:${scimClient}`, value)];
      case 'userName':
        return [await personByUserName(tables, value)];
      case 'email':
        return personsByEmail(tables, value);
    }
  })();
  const theirs = found
    .filter((each) => each !== undefined)
    .filter(({ source }) => scimClient === undefined || source === `scim:${scimClient}`);
  if (theirs.length > 1) return { fault: `found ${theirs.length} people of that '${claim}'` };
  const [only] = theirs;
  if (only === undefined) return { fault: `found nobody of that '${claim}'` };
  return ofKind(only.spiffeId, kind);
}

function byId(
  value: string,
  { kind, trustDomain }: { readonly kind: string; readonly trustDomain: string },
): FoundPerson {
  const prefix = `spiffe://${trustDomain}/${kind}/`;
  return ofKind(value.startsWith('spiffe://') ? value : `${prefix}${value}`, kind, prefix);
}

function ofKind(subject: string, kind: string, prefix = 'spiffe://'): FoundPerson {
  try {
    if (subjectFromId(subject).kind === kind && subject.startsWith(prefix)) return { subject };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
  }
  return { fault: `found no ${kind}` };
}
