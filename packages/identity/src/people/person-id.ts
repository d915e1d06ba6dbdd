import { compactId } from '@countersign/model';
import type { Transaction } from '@countersign/state';
import { tablesOf } from './directory.ts';
import type { PeopleConfig } from './people-config.ts';
import { PERSONS_TOPIC } from './people-tables.ts';
import { enterpriseOf, folded, type Person } from './person.ts';

/** Persons whose attribute would give the same name. */
const NAMESAKES_MAX = 1000;
const NAME_LENGTH_MAX = 200;

/**
 * Gives a new person a SPIFFE ID that nobody had before, also nobody who is deleted: what the record says of an ID is about one person.
 * One made of an attribute gets a number behind it where the name has been given already.
 *
 * @param options `isTaken`: whether something that is no person of the directory goes by the ID
 */
export async function givePersonId(
  transaction: Transaction,
  person: Pick<Person, 'id' | 'userName' | 'externalId' | 'resource'>,
  {
    personId,
    trustDomain,
    isTaken,
  }: Pick<PeopleConfig, 'personId'> & {
    readonly trustDomain: string;
    readonly isTaken: (spiffeId: string) => boolean;
  },
): Promise<string> {
  const prefix = `spiffe://${trustDomain}/human/`;
  const name = segmentOf(attributeOf(person, personId));
  for (let number = 1; number <= NAMESAKES_MAX && name !== ''; number += 1) {
    const spiffeId = `${prefix}${number === 1 ? name : `${name}-${number}`}`;
    if (isTaken(spiffeId) || !(await take(transaction, spiffeId))) continue;
    await transaction.touch(PERSONS_TOPIC, spiffeId);
    return spiffeId;
  }
  // Without the attribute, or with too many namesakes: the id, which is random.
  const spiffeId = `${prefix}${person.id}`;
  await take(transaction, spiffeId);
  await transaction.touch(PERSONS_TOPIC, spiffeId);
  return spiffeId;
}

/** Makes the IDs of persons whom the bank registers itself never to be given to one of the directory. */
export async function reservePersonIds(
  transaction: Transaction,
  spiffeIds: readonly string[],
): Promise<void> {
  for (const spiffeId of spiffeIds) await take(transaction, spiffeId);
}

/** A random SCIM id: it is the last segment of an opaque SPIFFE ID, so that it begins with a letter matters. */
export function newScimId(): string {
  return compactId();
}

async function take(transaction: Transaction, spiffeId: string): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tablesOf(transaction)
    .insertInto('person_id_used')
    .values({ spiffe_id: spiffeId })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

function attributeOf(
  person: Pick<Person, 'userName' | 'externalId' | 'resource'>,
  personId: PeopleConfig['personId'],
): string {
  switch (personId) {
    case 'opaque':
      return '';
    case 'userName':
      return person.userName;
    case 'externalId':
      return person.externalId ?? '';
    case 'employeeNumber':
      return String(enterpriseOf(person)['employeeNumber'] ?? '');
  }
}

/** SPIFFE-ID §2.2: letters, digits, dots, dashes, underscores; and no segment of dots alone. */
function segmentOf(text: string): string {
  return folded(text)
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[.-]+|[.-]+$/g, '')
    .slice(0, NAME_LENGTH_MAX);
}
