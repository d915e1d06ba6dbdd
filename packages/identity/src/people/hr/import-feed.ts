import type { Clock } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import type { Recorder } from '../../new-event.ts';
import type { Serial } from '../../serial.ts';
import { chunks, tablesOf } from '../directory.ts';
import { type Lifecycle, writePerson } from '../lifecycle.ts';
import type { PeopleConfig } from '../people-config.ts';
import type { PeopleTables } from '../people-tables.ts';
import { employmentRow, type Person } from '../person.ts';
import { givePersonId, newScimId } from '../person-id.ts';
import { ENTERPRISE_SCHEMA } from '../scim/scim-schemas.ts';
import { hashOf } from '../scim/user-resource.ts';
import { hrRows } from './hr-feed.ts';
import { type FeedPlan, type PlannedPerson, planFeed } from './plan-feed.ts';

/** People written in one transaction: others get their turn between two. */
const CHUNK = 200;

/** A feed, and what is to be done with it. */
export interface HrImport {
  readonly rows: readonly unknown[];
  /** False only tells what would happen. */
  readonly isApplied: boolean;
  /** So many leavers are meant: takes a feed that would be refused, if there are exactly so many. */
  readonly leavers?: number;
  readonly by: string;
}

/** What became of a feed. */
export interface HrImported {
  readonly isApplied: boolean;
  readonly plan: FeedPlan;
}

/**
 * Imports a feed, or tells what it would do. Employments of the feed become those that it has; people whom it does not name stay as they
 * are, unless the configuration says that they have left.
 *
 * @throws {IdentityError} `ERR_IDENTITY_HR_FEED` when it has faults; nothing is changed
 */
export async function importFeed(
  { rows, isApplied, leavers, by }: HrImport,
  options: {
    readonly database: Database;
    readonly lifecycle: Lifecycle;
    readonly serial: Serial;
    readonly config: PeopleConfig;
    readonly trustDomain: string;
    readonly isTaken: (spiffeId: string) => boolean;
    readonly onCreated: (spiffeId: string) => void;
    readonly record: Recorder;
    readonly now: Clock;
  },
): Promise<HrImported> {
  const { database, lifecycle, serial, config, record, now } = options;
  const { hr } = config;
  const read = hrRows(rows);
  const plan = await planFeed(database.tables<PeopleTables>(), read, { hr, nowMs: now() });
  const counts = {
    feed: hr.feed,
    joiners: plan.joiners.length,
    movers: plan.movers.length,
    leavers: plan.leavers.length,
    scheduled: plan.scheduled.length,
    unmatched: plan.unmatched.length,
    absent: plan.absent,
  };
  if (!isApplied) return { isApplied: false, plan };
  if (plan.refusal !== undefined && leavers !== plan.leavers.length) {
    const detail = `feed '${hr.feed}' was refused: ${plan.refusal}`;
    await record({ kind: 'administration', action: 'hr-import-refused', by, detail: counts });
    await record({ kind: 'alarm', alarm: 'hr-feed-refused', detail });
    return { isApplied: false, plan };
  }
  await record({ kind: 'administration', action: 'hr-imported', by, detail: counts });
  // Leavers first: if this breaks off in between, what was taken has been taken.
  const all = [...plan.leavers, ...plan.movers, ...plan.others, ...plan.joiners];
  for (const some of chunks(all, CHUNK)) {
    await serial.run(() =>
      lifecycle.commit({
        by: `hr:${hr.feed}`,
        reason: `HR feed '${hr.feed}'`,
        async write(transaction) {
          const created = new Set<string>();
          const ids: string[] = [];
          for (const planned of some) {
            const person = planned.person ?? (await make(transaction, planned, options));
            if (!planned.person) {
              created.add(person.id);
              options.onCreated(person.spiffeId);
            }
            ids.push(person.id);
            await replaceEmployments(transaction, { id: person.id, feed: hr.feed, planned });
          }
          return {
            concerned: ids,
            created,
            changed: new Map(ids.map((id) => [id, ['employments']])),
          };
        },
      }),
    );
  }
  return { isApplied: true, plan };
}

async function replaceEmployments(
  transaction: Transaction,
  {
    id,
    feed,
    planned,
  }: { readonly id: string; readonly feed: string; readonly planned: PlannedPerson },
): Promise<void> {
  const tables = tablesOf(transaction);
  await tables
    .deleteFrom('employment')
    .where('person_id', '=', id)
    .where('feed', '=', feed)
    .execute();
  for (const employment of planned.employments) {
    const row = employmentRow({ ...employment, personId: id });
    await tables.insertInto('employment').values(row).execute();
  }
}

async function make(
  transaction: Transaction,
  { userName, employeeNumber, rows }: PlannedPerson,
  {
    config,
    trustDomain,
    isTaken,
    now,
  }: {
    readonly config: PeopleConfig;
    readonly trustDomain: string;
    readonly isTaken: (spiffeId: string) => boolean;
    readonly now: Clock;
  },
): Promise<Person> {
  const { givenName, familyName, email } = Object.assign({}, ...rows) as (typeof rows)[number];
  const name = {
    ...(givenName !== undefined && { givenName }),
    ...(familyName !== undefined && { familyName }),
  };
  const resource = {
    ...(Object.keys(name).length > 0 && { name }),
    ...(email !== undefined && { emails: [{ value: email, type: 'work', primary: true }] }),
    [ENTERPRISE_SCHEMA]: { employeeNumber },
  };
  const draft = { id: newScimId(), userName, resource };
  const { personId } = config;
  const nowMs = now();
  const person: Person = {
    ...draft,
    spiffeId: await givePersonId(transaction, draft, { personId, trustDomain, isTaken }),
    source: `hr:${config.hr.feed}`,
    active: true,
    enabled: true,
    version: 1,
    createdAtMs: nowMs,
    modifiedAtMs: nowMs,
    createdHash: hashOf(draft),
  };
  await writePerson(transaction, person);
  return person;
}
