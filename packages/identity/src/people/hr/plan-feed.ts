import { employmentsOf, type Tables } from '../directory.ts';
import type { HrConfig } from '../people-config.ts';
import {
  type Employment,
  enterpriseOf,
  folded,
  isEnabled,
  type Person,
  personOf,
} from '../person.ts';
import { dayStart, nextDay } from './day-start.ts';
import type { HrRow } from './hr-feed.ts';

/** Up to so many leavers are no reason to refuse a feed, however few people there are. */
const LEAVERS_ALWAYS = 3;
const READ_ROWS = 1000;

/** What a feed would do to one person. */
export interface PlannedPerson {
  readonly employeeNumber: string;
  readonly userName: string;
  /** Absent for somebody whom the feed makes. */
  readonly person?: Person;
  readonly rows: readonly HrRow[];
  /** As the feed has them; what the person itself is called is filled in when it is written. */
  readonly employments: readonly Omit<Employment, 'personId'>[];
}

/** What a feed would do. */
export interface FeedPlan {
  readonly joiners: readonly PlannedPerson[];
  readonly movers: readonly PlannedPerson[];
  /** Enabled now, and disabled as soon as this is applied. */
  readonly leavers: readonly PlannedPerson[];
  /** Written now; what changes with it comes later, or has come before. */
  readonly others: readonly PlannedPerson[];
  /** Dates that are still to come. */
  readonly scheduled: readonly {
    readonly employeeNumber: string;
    readonly userName: string;
    readonly what: 'starts' | 'ends';
    readonly atMs: number;
  }[];
  /** In the feed, and no person of the directory. */
  readonly unmatched: readonly { readonly employeeNumber: string; readonly userName?: string }[];
  /** Known from an earlier feed, and missing in this one. */
  readonly absent: number;
  readonly unchanged: number;
  /** Enabled people whom the feed speaks of or spoke of before. */
  readonly covered: number;
  /** Why it is not applied, if so. */
  readonly refusal?: string;
}

/** Compares a feed with the directory; changes nothing. */
export async function planFeed(
  tables: Tables,
  rows: readonly HrRow[],
  { hr, nowMs }: { readonly hr: HrConfig; readonly nowMs: number },
): Promise<FeedPlan> {
  const directory = await readDirectory(tables, hr.feed);
  const plan = {
    joiners: [] as PlannedPerson[],
    movers: [] as PlannedPerson[],
    leavers: [] as PlannedPerson[],
    others: [] as PlannedPerson[],
    scheduled: [] as FeedPlan['scheduled'][number][],
    unmatched: [] as FeedPlan['unmatched'][number][],
  };
  let [unchanged, absent, covered] = [0, 0, 0];
  const seen = new Set<string>();
  for (const [employeeNumber, own] of Map.groupBy(rows, (row) => row.employeeNumber)) {
    const userName = own.find((row) => row.userName !== undefined)?.userName;
    const found = directory.find(employeeNumber, userName);
    const employments = own.map((row) => employmentOf(row, hr));
    const name = found?.person.userName ?? userName ?? employeeNumber;
    const planned = { employeeNumber, userName: name, rows: own, employments };
    if (!found) {
      const canMake = hr.createsPeople && userName !== undefined;
      if (canMake) plan.joiners.push(planned);
      else plan.unmatched.push({ employeeNumber, ...(userName !== undefined && { userName }) });
      if (!canMake) continue;
    } else if (seen.has(found.person.id)) {
      // Two numbers with one user name: taking the second would undo the first.
      plan.unmatched.push({ employeeNumber, ...(userName !== undefined && { userName }) });
      continue;
    } else {
      const { person } = found;
      seen.add(person.id);
      if (person.enabled) covered += 1;
      if (isSame(found.employments, employments)) {
        unchanged += 1;
        continue;
      }
      const whole = [
        ...found.others,
        ...employments.map((each) => ({ ...each, personId: person.id })),
      ];
      const willBe = isEnabled(person, whole, nowMs);
      const withPerson = { ...planned, person };
      if (person.enabled && !willBe) plan.leavers.push(withPerson);
      else if (!person.enabled && willBe) plan.joiners.push(withPerson);
      else if (hasMoved(found.employments, employments, nowMs)) plan.movers.push(withPerson);
      else plan.others.push(withPerson);
    }
    for (const { startsAtMs, endsAtMs } of employments) {
      const at = { employeeNumber, userName: name };
      if (startsAtMs > nowMs) plan.scheduled.push({ ...at, what: 'starts', atMs: startsAtMs });
      if (endsAtMs !== undefined && endsAtMs > nowMs) {
        plan.scheduled.push({ ...at, what: 'ends', atMs: endsAtMs });
      }
    }
  }
  for (const known of directory.known) {
    const { person, employments } = known;
    if (seen.has(person.id)) continue;
    const isOver = employments.every(({ endsAtMs = Infinity }) => endsAtMs <= nowMs);
    if (isOver) continue;
    absent += 1;
    if (person.enabled) covered += 1;
    if (!hr.absentLeaves) continue;
    // What has not begun never will; what is going on ends now.
    const ended = employments
      .filter(({ startsAtMs }) => startsAtMs < nowMs)
      .map(({ personId: _, ...each }) => ({
        ...each,
        endsAtMs: Math.min(each.endsAtMs ?? nowMs, nowMs),
      }));
    const kept = ended.length > 0 ? ended : [neverBegun(employments, nowMs)];
    const planned: PlannedPerson = {
      employeeNumber: employments[0]?.employeeNumber ?? '',
      userName: person.userName,
      person,
      rows: [],
      employments: kept,
    };
    (person.enabled ? plan.leavers : plan.others).push(planned);
  }
  const refusal = refusalOf(plan.leavers.length, { covered, hr });
  return { ...plan, absent, unchanged, covered, ...(refusal !== undefined && { refusal }) };
}

/** A feed that was cut off, or is another company's, looks like everybody leaving at once. */
function refusalOf(
  leavers: number,
  { covered, hr }: { readonly covered: number; readonly hr: HrConfig },
): string | undefined {
  const isTooMany = leavers > LEAVERS_ALWAYS && leavers * 100 > covered * hr.leaversMaxPercent;
  return isTooMany
    ? `it would disable ${leavers} of ${covered} people, expected at most ${hr.leaversMaxPercent} %`
    : undefined;
}

interface Known {
  readonly person: Person;
  /** Of this feed. */
  readonly employments: readonly Employment[];
  /** Of other feeds. */
  readonly others: readonly Employment[];
}

async function readDirectory(tables: Tables, feed: string) {
  const byNumber = new Map<string, Known>();
  const byEnterprise = new Map<string, Known>();
  const byName = new Map<string, Known>();
  const known: Known[] = [];
  for (let after = 0; ; ) {
    const rows = await tables
      .selectFrom('person')
      .selectAll()
      .where('deleted_ms', 'is', null)
      .where('position', '>', after)
      .orderBy('position')
      .limit(READ_ROWS)
      .execute();
    const persons = rows.map(personOf);
    const employments = await employmentsOf(
      tables,
      persons.map(({ id }) => id),
    );
    for (const person of persons) {
      const all = employments.get(person.id) ?? [];
      const entry: Known = {
        person,
        employments: all.filter((each) => each.feed === feed),
        others: all.filter((each) => each.feed !== feed),
      };
      for (const { employeeNumber } of entry.employments) byNumber.set(employeeNumber, entry);
      if (entry.employments.length > 0) known.push(entry);
      const number = enterpriseOf(person)['employeeNumber'];
      if (typeof number === 'string') byEnterprise.set(number, entry);
      byName.set(folded(person.userName), entry);
    }
    after = rows.at(-1)?.position ?? 0;
    if (rows.length < READ_ROWS) break;
  }
  return {
    known,
    find(employeeNumber: string, userName: string | undefined): Known | undefined {
      const found = byNumber.get(employeeNumber) ?? byEnterprise.get(employeeNumber);
      if (found || userName === undefined) return found;
      const named = byName.get(folded(userName));
      // Somebody whom this feed knows by another number is somebody else.
      return named && named.employments.length === 0 ? named : undefined;
    },
  };
}

function employmentOf(row: HrRow, { feed, timeZone }: HrConfig): Omit<Employment, 'personId'> {
  return {
    feed,
    employeeNumber: row.employeeNumber,
    ...(row.department !== undefined && { department: row.department }),
    ...(row.costCentre !== undefined && { costCentre: row.costCentre }),
    ...(row.title !== undefined && { title: row.title }),
    ...(row.manager !== undefined && { managerNumber: row.manager }),
    startsAtMs: dayStart(row.startDate, timeZone),
    ...(row.endDate !== undefined && { endsAtMs: dayStart(nextDay(row.endDate), timeZone) }),
  };
}

function neverBegun(
  employments: readonly Employment[],
  nowMs: number,
): Omit<Employment, 'personId'> {
  const [first] = employments;
  if (!first) throw new Error('broken invariant: known is who has an employment');
  const { personId: _, ...rest } = first;
  return { ...rest, startsAtMs: nowMs - 1, endsAtMs: nowMs };
}

function isSame(
  before: readonly Employment[],
  after: readonly Omit<Employment, 'personId'>[],
): boolean {
  return keyOf(before) === keyOf(after);
}

function hasMoved(
  before: readonly Employment[],
  after: readonly Omit<Employment, 'personId'>[],
  nowMs: number,
): boolean {
  const now = (list: readonly Omit<Employment, 'personId'>[]) =>
    list.filter(({ startsAtMs, endsAtMs = Infinity }) => startsAtMs <= nowMs && endsAtMs > nowMs);
  const rights = (list: readonly Omit<Employment, 'personId'>[]) =>
    now(list).map(({ department, costCentre, title, managerNumber }) =>
      JSON.stringify([department, costCentre, title, managerNumber]),
    );
  return rights(before).join() !== rights(after).join();
}

function keyOf(employments: readonly Omit<Employment, 'personId'>[]): string {
  return employments
    .map((each) =>
      JSON.stringify([
        ...[each.employeeNumber, each.department, each.costCentre, each.title],
        ...[each.managerNumber, each.startsAtMs, each.endsAtMs],
      ]),
    )
    .sort()
    .join('\n');
}
