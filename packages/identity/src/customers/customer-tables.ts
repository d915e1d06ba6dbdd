import type { Migration } from '@countersign/state';

/** The rows of customers. Times are milliseconds since the epoch, booleans 0 and 1. */
export interface CustomerTables {
  customer: {
    /** Without scheme and trust domain: what stands behind `customer/`. */
    id: string;
    enabled: number;
    /** A `SubjectEntity` as JSON. */
    entity: string;
    created_ms: number;
    changed_ms: number;
  };
  /** Authenticators of customers; those of people are facts, because points verify what they approve. */
  customer_credential: {
    credential_id: string;
    subject: string;
    public_key: string;
    rp_id: string;
    origins: string;
  };
}

/** The schema of customers. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-customers',
    statements: [
      `create table customer (
         id text not null primary key, enabled integer not null, entity text not null,
         created_ms integer not null, changed_ms integer not null
       ) strict`,
      `create table customer_credential (
         credential_id text not null primary key, subject text not null, public_key text not null,
         rp_id text not null, origins text not null
       ) strict`,
      'create index customer_credential_subject on customer_credential (subject)',
    ],
  },
];
