import type { Transaction } from '@countersign/state';
import { type Kysely, sql } from 'kysely';
import type { GroupRow, PeopleTables } from './people-tables.ts';
import { type Employment, employmentOf, folded, type Person, personOf } from './person.ts';

/** Values in one `in (…)`: SQLite takes 32,766 parameters, and a plan of so many is slow. */
const CHUNK = 500;

/** The tables of the directory, of a database or of a transaction. */
export type Tables = Kysely<PeopleTables>;

/** The directory's tables in a transaction. */
export const tablesOf = (transaction: Transaction): Tables => transaction.tables<PeopleTables>();

/** Persons by SCIM id, deleted ones too; in the order of the ids, without those that are not there. */
export async function personsById(tables: Tables, ids: readonly string[]): Promise<Person[]> {
  const found = new Map<string, Person>();
  for (const chunk of chunks(ids)) {
    const rows = await tables.selectFrom('person').selectAll().where('id', 'in', chunk).execute();
    for (const row of rows) found.set(row.id, personOf(row));
  }
  return [...new Set(ids)].flatMap((id) => found.get(id) ?? []);
}

/** One person who is not deleted, by SCIM id. */
export async function personById(tables: Tables, id: string): Promise<Person | undefined> {
  const [person] = await personsById(tables, [id]);
  return person?.deletedAtMs === undefined ? person : undefined;
}

/** One person, deleted or not, by SPIFFE ID. */
export async function personBySpiffeId(
  tables: Tables,
  spiffeId: string,
): Promise<Person | undefined> {
  const row = await tables
    .selectFrom('person')
    .selectAll()
    .where('spiffe_id', '=', spiffeId)
    .executeTakeFirst();
  return row && personOf(row);
}

/** Whoever has this user name, whatever its case and source. */
export async function personByUserName(
  tables: Tables,
  userName: string,
): Promise<Person | undefined> {
  const row = await tables
    .selectFrom('person')
    .selectAll()
    .where('user_name_folded', '=', folded(userName))
    .where('deleted_ms', 'is', null)
    .executeTakeFirst();
  return row && personOf(row);
}

/** Whoever a source calls so. */
export async function personByExternalId(
  tables: Tables,
  source: string,
  externalId: string,
): Promise<Person | undefined> {
  const row = await tables
    .selectFrom('person')
    .selectAll()
    .where('source', '=', source)
    .where('external_id', '=', externalId)
    .where('deleted_ms', 'is', null)
    .executeTakeFirst();
  return row && personOf(row);
}

/** Whoever has one of these addresses of mail, deleted ones excepted. */
export async function personsByEmail(tables: Tables, email: string): Promise<Person[]> {
  const rows = await tables
    .selectFrom('person')
    .innerJoin('person_email', 'person_email.person_id', 'person.id')
    .selectAll('person')
    .where('person_email.email', '=', folded(email))
    .where('deleted_ms', 'is', null)
    .execute();
  return rows.map(personOf);
}

/** Employments of persons, by person. */
export async function employmentsOf(
  tables: Tables,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly Employment[]>> {
  const found = new Map<string, Employment[]>();
  for (const chunk of chunks(ids)) {
    const rows = await tables
      .selectFrom('employment')
      .selectAll()
      .where('person_id', 'in', chunk)
      .orderBy('position')
      .execute();
    for (const row of rows) {
      const list = found.get(row.person_id) ?? [];
      list.push(employmentOf(row));
      found.set(row.person_id, list);
    }
  }
  return found;
}

/** The persons with these employee numbers in a feed, by number; the latest begun employment says whose it is. */
export async function personsByNumber(
  tables: Tables,
  feed: string,
  numbers: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const chunk of chunks([...new Set(numbers)])) {
    const rows = await tables
      .selectFrom('employment')
      .select(['employee_number', 'person_id'])
      .where('feed', '=', feed)
      .where('employee_number', 'in', chunk)
      .orderBy('starts_ms')
      .execute();
    for (const row of rows) found.set(row.employee_number, row.person_id);
  }
  return found;
}

/** The groups that persons are in, also through other groups, by person. */
export async function groupsOf(
  tables: Tables,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly (GroupRow & { isDirect: boolean })[]>> {
  const found = new Map<string, (GroupRow & { isDirect: boolean })[]>();
  for (const chunk of chunks(ids)) {
    // `union` and not `union all`: groups that contain each other end.
    const { rows } = await sql<GroupRow & { person: string; direct: number }>`
      with recursive up (person, grp, direct) as (
        select member_id, group_id, 1 from group_member
          where kind = 'User' and member_id in (${sql.join(chunk)})
        union
        select up.person, m.group_id, 0 from up
          join group_member m on m.member_id = up.grp and m.kind = 'Group'
      )
      select up.person, max(up.direct) as direct, g.* from up
        join directory_group g on g.id = up.grp
        group by up.person, g.position order by g.position
    `.execute(tables);
    for (const { person, direct, ...row } of rows) {
      const list = found.get(person) ?? [];
      list.push({ ...row, isDirect: direct === 1 });
      found.set(person, list);
    }
  }
  return found;
}

/** A group and all that it is in: whom it may give a parent to. */
export async function groupsAbove(tables: Tables, id: string): Promise<GroupRow[]> {
  const { rows } = await sql<GroupRow>`
    with recursive up (grp) as (
      select id from directory_group where id = ${id}
      union
      select m.group_id from up join group_member m on m.member_id = up.grp and m.kind = 'Group'
    )
    select g.* from up join directory_group g on g.id = up.grp
  `.execute(tables);
  return rows;
}

/** SCIM ids of the persons in a group, also through other groups. */
export async function personsUnder(tables: Tables, id: string): Promise<string[]> {
  const { rows } = await sql<{ member_id: string }>`
    with recursive down (grp) as (
      select group_id from group_member where group_id = ${id}
      union
      select m.member_id from down join group_member m on m.group_id = down.grp and m.kind = 'Group'
    )
    select distinct m.member_id from down
      join group_member m on m.group_id = down.grp and m.kind = 'User'
  `.execute(tables);
  return rows.map(({ member_id }) => member_id);
}

/** In pieces of at most 500. */
export function chunks<T>(values: readonly T[], size = CHUNK): T[][] {
  const pieces: T[][] = [];
  for (let at = 0; at < values.length; at += size) pieces.push(values.slice(at, at + size));
  return pieces;
}
