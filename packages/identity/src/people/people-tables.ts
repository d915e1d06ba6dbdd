import type { Migration } from '@countersign/state';
import type { Generated, Selectable } from 'kysely';

/** The rows of the directory. Times are milliseconds since the epoch, booleans 0 and 1. */
export interface PeopleTables {
  person: PersonTable;
  /** Every SPIFFE ID of a person that was ever given: none is given twice. */
  person_id_used: { spiffe_id: string };
  employment: {
    /** Given by the database, in the order in which they were written. */
    position: Generated<number>;
    person_id: string;
    /** Name of the HR feed. */
    feed: string;
    employee_number: string;
    department: string | null;
    cost_centre: string | null;
    title: string | null;
    /** Employee number, in the same feed. */
    manager_number: string | null;
    starts_ms: number;
    /** The first moment after it; null while it is open. */
    ends_ms: number | null;
  };
  directory_group: GroupTable;
  group_member: { group_id: string; member_id: string; kind: 'User' | 'Group' };
  /** Registrations whose owner left: what became of each, until the bank's repository names another owner. */
  owned_registration: {
    subject: string;
    owner: string;
    person: string;
    state: 'suspended' | 'handed-over';
    new_owner: string | null;
    at_ms: number;
  };
  /** Events of what was taken away, until they are in the log. */
  unrecorded_event: { position: Generated<number>; event: string };
  /** Addresses of mail, folded: how owners are named in registrations. */
  person_email: { person_id: string; email: string };
  /** `settled`: up to when effective dates have been acted on; `mapping`: by which configuration facts were made. */
  people_state: { name: string; value: string };
}

/** A row of {@link PersonTable}. */
export type PersonRow = Selectable<PersonTable>;
/** A row of {@link GroupTable}. */
export type GroupRow = Selectable<GroupTable>;

/** A person as kept; `resource` is what SCIM calls the resource, as JSON. */
export interface PersonTable {
  position: Generated<number>;
  /** SCIM id. */
  id: string;
  spiffe_id: string;
  /** `scim:<client>` or `hr:<feed>`: who may change it. */
  source: string;
  user_name: string;
  user_name_folded: string;
  external_id: string | null;
  resource: string;
  active: number;
  /** Why the operator keeps the person out, if so. */
  hold_reason: string | null;
  enabled: number;
  /** When it was last disabled. */
  disabled_ms: number | null;
  version: number;
  created_ms: number;
  modified_ms: number;
  deleted_ms: number | null;
  /** SHA-256 of what the person was created by, so that the same request again makes no second one. */
  created_hash: string;
}

/** A group as kept. */
export interface GroupTable {
  position: Generated<number>;
  id: string;
  source: string;
  display_name: string;
  display_name_folded: string;
  external_id: string | null;
  version: number;
  created_ms: number;
  modified_ms: number;
  created_hash: string;
}

/** By which other processes hear of new persons, and of what became of registrations whose owner left. */
export const PERSONS_TOPIC = 'identity/persons';
export const OWNED_TOPIC = 'identity/owned-registrations';

/** The schema of the directory; steps are only appended. */
export const peopleMigrations: readonly Migration[] = [
  {
    name: '0001-people',
    statements: [
      `create table person (
         position integer primary key autoincrement,
         id text not null unique, spiffe_id text not null unique, source text not null,
         user_name text not null, user_name_folded text not null, external_id text,
         resource text not null, active integer not null, hold_reason text,
         enabled integer not null, disabled_ms integer, version integer not null,
         created_ms integer not null, modified_ms integer not null, deleted_ms integer,
         created_hash text not null
       ) strict`,
      'create unique index person_user_name on person (user_name_folded) where deleted_ms is null',
      `create unique index person_external_id on person (source, external_id)
         where deleted_ms is null and external_id is not null`,
      'create index person_source on person (source, position) where deleted_ms is null',
      'create index person_disabled on person (disabled_ms) where enabled = 0',
      'create table person_id_used (spiffe_id text primary key) strict',
      `create table employment (
         position integer primary key autoincrement,
         person_id text not null references person (id), feed text not null,
         employee_number text not null, department text, cost_centre text, title text,
         manager_number text, starts_ms integer not null, ends_ms integer
       ) strict`,
      'create index employment_person on employment (person_id)',
      'create index employment_number on employment (feed, employee_number)',
      'create index employment_starts on employment (starts_ms)',
      'create index employment_ends on employment (ends_ms) where ends_ms is not null',
      `create table directory_group (
         position integer primary key autoincrement,
         id text not null unique, source text not null, display_name text not null,
         display_name_folded text not null, external_id text, version integer not null,
         created_ms integer not null, modified_ms integer not null, created_hash text not null
       ) strict`,
      'create unique index directory_group_name on directory_group (source, display_name_folded)',
      `create table group_member (
         group_id text not null references directory_group (id), member_id text not null,
         kind text not null check (kind in ('User', 'Group')),
         primary key (group_id, member_id)
       ) strict, without rowid`,
      'create index group_member_member on group_member (member_id)',
      `create table owned_registration (
         subject text primary key, owner text not null, person text not null,
         state text not null check (state in ('suspended', 'handed-over')), new_owner text,
         at_ms integer not null
       ) strict`,
      `create table unrecorded_event (
         position integer primary key autoincrement, event text not null
       ) strict`,
      `create table person_email (
         person_id text not null references person (id), email text not null,
         primary key (person_id, email)
       ) strict, without rowid`,
      'create index person_email_email on person_email (email)',
      'create table people_state (name text primary key, value text not null) strict',
      'create index if not exists session_subject on session (subject, ends_ms)',
      // What oidc-provider grants to a person is found by the person, and ended with it.
      `create index if not exists issuer_row_account
         on issuer_row (json_extract(payload, '$.accountId'))`,
    ],
  },
];
