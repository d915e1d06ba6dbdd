import type { Selectable } from 'kysely';
import type { PeopleTables, PersonRow } from './people-tables.ts';
import type { ScimResource } from './scim/attribute-path.ts';
import { ENTERPRISE_SCHEMA } from './scim/scim-schemas.ts';

/** A person of the directory. */
export interface Person {
  /** SCIM id. */
  readonly id: string;
  readonly spiffeId: string;
  /** `scim:<client>` or `hr:<feed>`. */
  readonly source: string;
  readonly userName: string;
  readonly externalId?: string;
  /** The attributes of SCIM's User and EnterpriseUser, without `active`. */
  readonly resource: ScimResource;
  /** What its source says. */
  readonly active: boolean;
  /** Why the operator keeps the person out, if so. */
  readonly holdReason?: string;
  /** What came of all that: active, not held, and employed where a feed knows the person. */
  readonly enabled: boolean;
  readonly disabledAtMs?: number;
  /** Counts changes from 1; the ETag. */
  readonly version: number;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  readonly deletedAtMs?: number;
  readonly createdHash: string;
}

/** One employment, as an HR feed tells it. */
export interface Employment {
  readonly personId: string;
  readonly feed: string;
  readonly employeeNumber: string;
  readonly department?: string;
  readonly costCentre?: string;
  readonly title?: string;
  /** Employee number. */
  readonly managerNumber?: string;
  readonly startsAtMs: number;
  /** The first moment after it. */
  readonly endsAtMs?: number;
}

/** How two user names are compared: without case, and whatever the form of their characters (RFC 8265 §3.3 does nearly that). */
export function folded(text: string): string {
  return text.normalize('NFKC').toLowerCase().normalize('NFKC');
}

/** The employment in force, the latest begun of several. */
export function employmentAt(
  employments: readonly Employment[],
  nowMs: number,
): Employment | undefined {
  return employments
    .filter(({ startsAtMs, endsAtMs }) => startsAtMs <= nowMs && (endsAtMs ?? Infinity) > nowMs)
    .reduce<Employment | undefined>(
      (best, each) => (best && best.startsAtMs >= each.startsAtMs ? best : each),
      undefined,
    );
}

/** Whether the person may do anything now: each who knows the person must agree. */
export function isEnabled(
  person: Pick<Person, 'active' | 'holdReason' | 'deletedAtMs'>,
  employments: readonly Employment[],
  nowMs: number,
): boolean {
  if (!person.active || person.holdReason !== undefined || person.deletedAtMs !== undefined) {
    return false;
  }
  return employments.length === 0 || employmentAt(employments, nowMs) !== undefined;
}

/** What SCIM's EnterpriseUser says of the person. */
export function enterpriseOf({ resource }: Pick<Person, 'resource'>): ScimResource {
  const part = resource[ENTERPRISE_SCHEMA];
  return typeof part === 'object' && part !== null ? (part as ScimResource) : {};
}

/** The addresses of mail, folded, each once. */
export function emailsOf({ resource }: Pick<Person, 'resource'>): readonly string[] {
  const emails = Array.isArray(resource['emails']) ? resource['emails'] : [];
  const values = emails.flatMap((each: { value?: unknown }) =>
    typeof each.value === 'string' && each.value !== '' ? [folded(each.value)] : [],
  );
  return [...new Set(values)];
}

/** A row as a person. */
export function personOf(row: PersonRow): Person {
  return {
    id: row.id,
    spiffeId: row.spiffe_id,
    source: row.source,
    userName: row.user_name,
    ...(row.external_id !== null && { externalId: row.external_id }),
    resource: JSON.parse(row.resource) as ScimResource,
    active: row.active === 1,
    ...(row.hold_reason !== null && { holdReason: row.hold_reason }),
    enabled: row.enabled === 1,
    ...(row.disabled_ms !== null && { disabledAtMs: row.disabled_ms }),
    version: row.version,
    createdAtMs: row.created_ms,
    modifiedAtMs: row.modified_ms,
    ...(row.deleted_ms !== null && { deletedAtMs: row.deleted_ms }),
    createdHash: row.created_hash,
  };
}

/** A person as a row. */
export function rowOf(person: Person): Omit<PersonRow, 'position'> {
  return {
    id: person.id,
    spiffe_id: person.spiffeId,
    source: person.source,
    user_name: person.userName,
    user_name_folded: folded(person.userName),
    external_id: person.externalId ?? null,
    resource: JSON.stringify(person.resource),
    active: Number(person.active),
    hold_reason: person.holdReason ?? null,
    enabled: Number(person.enabled),
    disabled_ms: person.disabledAtMs ?? null,
    version: person.version,
    created_ms: person.createdAtMs,
    modified_ms: person.modifiedAtMs,
    deleted_ms: person.deletedAtMs ?? null,
    created_hash: person.createdHash,
  };
}

/** A row as an employment. */
export function employmentOf(
  row: Omit<Selectable<PeopleTables['employment']>, 'position'>,
): Employment {
  return {
    personId: row.person_id,
    feed: row.feed,
    employeeNumber: row.employee_number,
    ...(row.department !== null && { department: row.department }),
    ...(row.cost_centre !== null && { costCentre: row.cost_centre }),
    ...(row.title !== null && { title: row.title }),
    ...(row.manager_number !== null && { managerNumber: row.manager_number }),
    startsAtMs: row.starts_ms,
    ...(row.ends_ms !== null && { endsAtMs: row.ends_ms }),
  };
}

/** An employment as a row. */
export function employmentRow(
  employment: Employment,
): Omit<Selectable<PeopleTables['employment']>, 'position'> {
  return {
    person_id: employment.personId,
    feed: employment.feed,
    employee_number: employment.employeeNumber,
    department: employment.department ?? null,
    cost_centre: employment.costCentre ?? null,
    title: employment.title ?? null,
    manager_number: employment.managerNumber ?? null,
    starts_ms: employment.startsAtMs,
    ends_ms: employment.endsAtMs ?? null,
  };
}
