import type { Acr } from '@countersign/model';
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
  /** X.509, JWT and token authorities, and their keys, encrypted. */
  authority: {
    kind: 'x509' | 'jwt' | 'token';
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
    /** 1 when it is narrowed; to what is a fact. */
    narrowed: number;
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
  /** Passkeys that people sign in with; whose they are, and their keys, are facts of kind `credential`. */
  passkey: {
    credential_id: string;
    subject: string;
    /** What it reaches: `phrh` was attested by hardware that the bank listed. */
    acr: Acr;
    /** The highest signature counter seen. */
    sign_count: number;
    aaguid: string;
    is_synced: number;
    /** JSON: how browsers reach it. */
    transports: string;
    label: string;
    created_ms: number;
    last_used_ms: number | null;
    /** When, and why, it stopped counting for signing in. */
    disabled_ms: number | null;
    disabled_reason: string | null;
  };
  /** What authenticators know a person by: random, so that it tells nothing. */
  person_handle: { subject: string; handle: string };
  /** One-time codes by which a person registers a passkey; `hash` is over the secret half. */
  passkey_invite: {
    id: string;
    hash: string;
    subject: string;
    purpose: 'bootstrap' | 'recovery';
    made_by: string;
    created_ms: number;
    expires_ms: number;
    tries: number;
    approved_by: string | null;
    used_ms: number | null;
  };
  /** Challenges that authenticators are asked to sign, each once, for what it was made for. */
  ceremony: {
    challenge: string;
    purpose: string;
    bound_to: string;
    /** Of the address that asked for it: of IPv6 the /64. */
    network: string;
    expires_ms: number;
  };
  /** Sessions of people. */
  person_session: {
    id: string;
    subject: string;
    acr: Acr;
    /** JSON. */
    amr: string;
    auth_time_ms: number;
    /** The passkey, or `idp:<name>` of an identity provider. */
    credential_id: string;
    /** Where they signed in: an application, or their own page at the issuer. */
    place: 'application' | 'account';
    ip: string;
    device: string | null;
    started_ms: number;
    ends_ms: number;
    /** When it ends if nothing is asked under it; never after `ends_ms`. */
    idle_ends_ms: number;
    /** The provider's session, that the browser's cookie names. */
    provider_uid: string | null;
    /** SHA-256 of the cookie of the own page. */
    cookie_hash: string | null;
    revoked_ms: number | null;
    revoked_reason: string | null;
  };
  /** Every passkey that a session was proved with: it stands on each of them, and not on the last one alone. */
  person_session_passkey: { session_id: string; credential_id: string };
  /** What an application was granted under a session; `thumbprint` is of its first token's key. */
  person_grant: {
    grant_id: string;
    session_id: string;
    client_id: string;
    thumbprint: string | null;
    created_ms: number;
  };
  /** Failed attempts from an address within a window. */
  login_failure: { address: string; count: number; expires_ms: number };
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
    name: '0006-login',
    statements: [
      `create table passkey (
         credential_id text primary key, subject text not null,
         acr text not null check (acr in ('phr', 'phrh')), sign_count integer not null,
         aaguid text not null, is_synced integer not null, transports text not null, label text not null,
         created_ms integer not null, last_used_ms integer, disabled_ms integer, disabled_reason text
       ) strict`,
      'create index passkey_subject on passkey (subject)',
      'create table person_handle (subject text primary key, handle text not null unique) strict',
      `create table passkey_invite (
         id text primary key, hash text not null, subject text not null,
         purpose text not null check (purpose in ('bootstrap', 'recovery')), made_by text not null,
         created_ms integer not null, expires_ms integer not null, tries integer not null,
         approved_by text, used_ms integer
       ) strict`,
      'create index passkey_invite_expires on passkey_invite (expires_ms)',
      `create table ceremony (
         challenge text primary key, purpose text not null, bound_to text not null, expires_ms integer not null
       ) strict`,
      'create index ceremony_bound_to on ceremony (purpose, bound_to)',
      'create index ceremony_expires on ceremony (expires_ms)',
      `create table person_session (
         id text primary key, subject text not null,
         acr text not null check (acr in ('phr', 'phrh')), amr text not null, auth_time_ms integer not null,
         credential_id text not null, place text not null check (place in ('application', 'account')),
         ip text not null, device text, started_ms integer not null, ends_ms integer not null,
         idle_ends_ms integer not null, provider_uid text, cookie_hash text, revoked_ms integer, revoked_reason text
       ) strict`,
      'create index person_session_subject on person_session (subject, ends_ms)',
      'create index person_session_ends on person_session (ends_ms)',
      'create index person_session_provider on person_session (provider_uid) where provider_uid is not null',
      'create unique index person_session_cookie on person_session (cookie_hash) where cookie_hash is not null',
      'create index person_session_credential on person_session (credential_id)',
      `create table person_grant (
         grant_id text primary key, session_id text not null, client_id text not null,
         thumbprint text, created_ms integer not null
       ) strict`,
      'create index person_grant_session on person_grant (session_id)',
      `create table login_failure (
         address text primary key, count integer not null, expires_ms integer not null
       ) strict`,
      'create index login_failure_expires on login_failure (expires_ms)',
    ],
  },
  {
    name: '0007-cut-organisations',
    statements: [
      'create index svid_node_workload on svid (node, spiffe_id) where node is not null',
      'create table cut_organisation (name text primary key, reason text not null, cut_ms integer not null) strict',
      `create table cut_subject (
         subject text primary key, organisation text not null, behind text
       ) strict`,
      'create index cut_subject_organisation on cut_subject (organisation)',
    ],
  },
  {
    name: '0008-token-authorities',
    statements: [
      // The same with one kind more: SQLite changes no check of a table that there is.
      `create table authority_of_kinds (
         kind text not null check (kind in ('x509', 'jwt', 'token')), id text not null,
         state text not null check (state in ('prepared', 'active', 'old', 'tainted')),
         chain text not null, shared text not null, sealed blob not null, upstream text,
         not_before_ms integer not null, not_after_ms integer not null, prepared_ms integer not null,
         activated_ms integer, retired_ms integer, tainted_ms integer,
         primary key (kind, id)
       ) strict`,
      `insert into authority_of_kinds (kind, id, state, chain, shared, sealed, upstream, not_before_ms, not_after_ms,
         prepared_ms, activated_ms, retired_ms, tainted_ms)
       select kind, id, state, chain, shared, sealed, upstream, not_before_ms, not_after_ms,
         prepared_ms, activated_ms, retired_ms, tainted_ms from authority`,
      'drop table authority',
      'alter table authority_of_kinds rename to authority',
      `create unique index authority_single on authority (kind, state) where state in ('prepared', 'active')`,
    ],
  },
  {
    name: '0009-ceremony-networks',
    statements: [
      "alter table ceremony add column network text not null default ''",
      'create index ceremony_network on ceremony (network, expires_ms)',
    ],
  },
  {
    name: '0010-narrowed-sessions',
    statements: ['alter table session add column narrowed integer not null default 0'],
  },
  {
    name: '0011-session-passkeys',
    statements: [
      `create table person_session_passkey (
         session_id text not null, credential_id text not null, primary key (session_id, credential_id)
       ) strict`,
      'create index person_session_passkey_credential on person_session_passkey (credential_id)',
      // Those before the last one were not kept.
      `insert into person_session_passkey (session_id, credential_id)
       select id, credential_id from person_session`,
      'drop index person_session_credential',
    ],
  },
];
