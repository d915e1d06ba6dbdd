import type { Migration } from '@countersign/state';

/** The rows of this room. What is `sealed` is encrypted under the authority's record key. */
export interface RecordKeyTables {
  /** Trees of keys: `sealed` is what is left of one, as JSON. */
  record_key: { holder: string; period: string; retention: string; sealed: Uint8Array };
  pseudonym_key: { year: string; sealed: Uint8Array };
  erased_person: { pseudonym: string; generation: number; erased_ms: number };
  /** What resources of persons are called. */
  personal_kind: { kind: string };
  /** One row, which grows with each change. */
  record_key_version: { id: number; version: number };
}

/** The schema of this room. */
export const recordKeyMigrations: readonly Migration[] = [
  {
    name: '0001-record-keys',
    statements: [
      `create table record_key (
         holder text not null, period text not null, retention text not null, sealed blob not null,
         primary key (holder, period, retention)
       ) strict`,
      'create table pseudonym_key (year text primary key, sealed blob not null) strict',
      `create table erased_person (
         pseudonym text primary key, generation integer not null, erased_ms integer not null
       ) strict`,
      'create table record_key_version (id integer primary key check (id = 1), version integer not null) strict',
    ],
  },
  {
    name: '0002-personal-kinds',
    statements: ['create table personal_kind (kind text primary key) strict'],
  },
];
