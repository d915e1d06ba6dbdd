import type { Migration } from '@countersign/state';

/** The rows of this room. Times are milliseconds since the epoch. */
export interface IdentityTables {
  /** What the bank registered; `body` is a `Registration` as JSON. Its subject is also a fact. */
  registration: { id: string; body: string };
  /** Enforcement points, and the key that each one's log is verified with, fixed at first enrolment. */
  point: { name: string; surfaces: string; log_verifier_key: string | null };
  /** DER of the one X.509 authority of a database that is older than their rotation. */
  authority_certificate: { id: number; der: Uint8Array };
  /** One-time tokens by SHA-256; the token itself is nowhere. */
  join_token: { hash: string; spiffe_id: string; expires_ms: number; used_ms: number | null };
  /** What somebody joined with beside a join token, and who that was. */
  join_credential: {
    /** `certificate <thumbprint>`, or `pod <cluster> <uid> <audience>`. */
    credential: string;
    spiffe_id: string;
    joined_ms: number;
  };
  /** Requests for SVIDs that were granted, so that none is granted twice. */
  svid_request: { hash: string; expires_ms: number };
  /** SVIDs that are still valid. */
  svid: {
    thumbprint: string;
    spiffe_id: string;
    serial: string;
    not_after_ms: number;
    /** What its holder joined with, where that is no join token; and the SHA-256 of its key then. */
    credential: string | null;
    key_hash: string | null;
    /** Which X.509 authority issued it; null where that was before they rotated. */
    authority: string | null;
    /** The node that it was handed to for a workload of its. */
    node: string | null;
  };
  /** X.509 and JWT authorities, and their keys, encrypted. */
  authority: {
    kind: 'x509' | 'jwt';
    id: string;
    state: 'prepared' | 'active' | 'old' | 'tainted';
    /** DER in base64 as a JSON list: the authority's own certificate, then what leads to the upstream's root. Empty for JWT. */
    chain: string;
    /** JSON list: roots of the upstream (DER in base64), or further JWKs that it shares. */
    shared: string;
    /** PKCS#8, sealed under the keyring's secret. */
    sealed: Uint8Array;
    upstream: string | null;
    not_before_ms: number;
    not_after_ms: number;
    prepared_ms: number;
    activated_ms: number | null;
    retired_ms: number | null;
    tainted_ms: number | null;
  };
  /** SHA-256 (base64url) of X.509 authorities that were tainted below an upstream and are forgotten; until their certificates end. */
  refused_authority: { thumbprint: string; until_ms: number };
  /** Organisations that are cut off. */
  cut_organisation: { name: string; reason: string; cut_ms: number };
  /** Who was revoked with them; `behind` is the fact of a revocation of their own as JSON, for when the organisation is restored. */
  cut_subject: { subject: string; organisation: string; behind: string | null };
  /** Sessions of OAuth clients. */
  session: {
    id: string;
    client_id: string;
    subject: string;
    /** `x5t#S256` or `jkt` and its value: the key that the session's tokens are bound to. */
    binding: 'mtls' | 'dpop';
    thumbprint: string;
    started_ms: number;
    ends_ms: number;
    /** When the last token was issued under it. */
    last_token_ms: number;
    revoked_ms: number | null;
    revoked_reason: string | null;
  };
  /** What `oidc-provider` keeps, by its model and id; `payload` is JSON. */
  issuer_row: {
    model: string;
    id: string;
    payload: string;
    grant_id: string | null;
    uid: string | null;
    user_code: string | null;
    expires_ms: number;
  };
}

/** The schema of this room. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-identity',
    statements: [
      'create table registration (id text primary key, body text not null) strict',
      `create table point (
         name text primary key, surfaces text not null, log_verifier_key text
       ) strict`,
      'create table authority_certificate (id integer primary key check (id = 1), der blob not null) strict',
      `create table join_token (
         hash text primary key, spiffe_id text not null, expires_ms integer not null, used_ms integer
       ) strict`,
      'create index join_token_expires on join_token (expires_ms)',
      'create table svid_request (hash text primary key, expires_ms integer not null) strict',
      'create index svid_request_expires on svid_request (expires_ms)',
      `create table svid (
         thumbprint text primary key, spiffe_id text not null, serial text not null,
         not_after_ms integer not null
       ) strict`,
      'create index svid_not_after on svid (not_after_ms)',
      `create table session (
         id text primary key, client_id text not null, subject text not null,
         binding text not null check (binding in ('mtls', 'dpop')), thumbprint text not null,
         started_ms integer not null, ends_ms integer not null, last_token_ms integer not null,
         revoked_ms integer, revoked_reason text
       ) strict`,
      'create index session_client on session (client_id, ends_ms, last_token_ms)',
      'create index session_ends on session (ends_ms)',
    ],
  },
  {
    name: '0002-issuer',
    statements: [
      `create table issuer_row (
         model text not null, id text not null, payload text not null,
         grant_id text, uid text, user_code text, expires_ms integer not null,
         primary key (model, id)
       ) strict`,
      'create index issuer_row_expires on issuer_row (expires_ms)',
      'create index issuer_row_grant on issuer_row (grant_id) where grant_id is not null',
      'create index issuer_row_uid on issuer_row (uid) where uid is not null',
      'create index issuer_row_user_code on issuer_row (user_code) where user_code is not null',
    ],
  },
  {
    name: '0003-join-credential',
    statements: [
      `create table join_credential (
         credential text primary key, spiffe_id text not null, joined_ms integer not null
       ) strict`,
      'create index join_credential_joined on join_credential (joined_ms)',
      'alter table svid add column credential text',
      'alter table svid add column key_hash text',
      'create index svid_credential on svid (credential) where credential is not null',
    ],
  },
  {
    name: '0004-authorities',
    statements: [
      `create table authority (
         kind text not null check (kind in ('x509', 'jwt')), id text not null,
         state text not null check (state in ('prepared', 'active', 'old', 'tainted')),
         chain text not null, shared text not null, sealed blob not null, upstream text,
         not_before_ms integer not null, not_after_ms integer not null, prepared_ms integer not null,
         activated_ms integer, retired_ms integer, tainted_ms integer,
         primary key (kind, id)
       ) strict`,
      // At most one issues, at most one waits: whatever a crash left, this holds.
      `create unique index authority_single on authority (kind, state) where state in ('prepared', 'active')`,
      'alter table svid add column authority text',
      'alter table svid add column node text',
      'create index svid_authority on svid (authority)',
      'create index svid_node on svid (node) where node is not null',
    ],
  },
  {
    name: '0005-refused-authorities',
    statements: [
      'create table refused_authority (thumbprint text primary key, until_ms integer not null) strict',
    ],
  },
  {
    name: '0006-cut-organisations',
    statements: [
      'create index svid_node_workload on svid (node, spiffe_id) where node is not null',
      'create table cut_organisation (name text primary key, reason text not null, cut_ms integer not null) strict',
      `create table cut_subject (
         subject text primary key, organisation text not null, behind text
       ) strict`,
      'create index cut_subject_organisation on cut_subject (organisation)',
    ],
  },
];
