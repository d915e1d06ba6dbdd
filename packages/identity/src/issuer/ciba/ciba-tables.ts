import type { Acr } from '@countersign/model';
import type { Migration } from '@countersign/state';

/** Where an approval is in its life. `withheld`: nobody is shown it, and whoever asked is not told. */
export type ApprovalState = 'reserved' | 'waiting' | 'withheld' | 'approved' | 'denied' | 'expired';

/** The rows of decoupled approvals. Times are milliseconds since the epoch. */
export interface CibaTables {
  approval_request: {
    id: string;
    /** The provider's name of it; null until it has one. */
    auth_req_id: string | null;
    /** SPIFFE ID, or of whom nobody knows a hash of the hint. */
    person: string;
    client_id: string;
    scope: string;
    audience: string;
    binding_message: string;
    acr: Acr;
    /** Of the challenge that the person was asked to sign last. */
    nonce: string | null;
    state: ApprovalState;
    created_ms: number;
    expires_ms: number;
    /** When it was approved, denied, or found expired. */
    ended_ms: number | null;
  };
}

export const cibaMigrations: readonly Migration[] = [
  {
    name: '0001-approval-requests',
    statements: [
      `create table approval_request (
         id text primary key, auth_req_id text unique, person text not null, client_id text not null,
         scope text not null, audience text not null, binding_message text not null,
         acr text not null check (acr in ('phr', 'phrh')), nonce text,
         state text not null check (state in ('reserved', 'waiting', 'withheld', 'approved', 'denied', 'expired')),
         created_ms integer not null, expires_ms integer not null, ended_ms integer
       ) strict`,
      'create index approval_request_person on approval_request (person, created_ms)',
      'create index approval_request_client on approval_request (client_id, expires_ms)',
      'create index approval_request_expires on approval_request (expires_ms)',
    ],
  },
];
