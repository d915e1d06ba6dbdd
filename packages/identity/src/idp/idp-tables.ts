import type { Migration } from '@countersign/state';

/** The rows of logins by identity providers. Times are milliseconds since the epoch. */
export interface IdpTables {
  /** Requests that are out, by SHA-256 of their state. */
  idp_request: {
    state_hash: string;
    provider: string;
    /** The interaction, and the browser: SHA-256 of its cookie. */
    uid: string;
    cookie_hash: string;
    nonce: string;
    code_verifier: string;
    /** When the person must have signed in there, at the earliest. */
    not_before_ms: number;
    expires_ms: number;
  };
  /** People who came by a provider, and whose passkey is asked for next, by interaction. */
  idp_waiting: {
    uid: string;
    provider: string;
    issuer: string;
    sub: string;
    sid: string | null;
    subject: string;
    auth_time_ms: number;
    expires_ms: number;
  };
  /** Whose account at a provider is whose here: from the first login on, and for good. */
  idp_link: {
    issuer: string;
    sub: string;
    subject: string;
    provider: string;
    linked_ms: number;
    last_login_ms: number;
  };
  /** Sessions of ours that stand on one there. */
  idp_session: {
    session_id: string;
    issuer: string;
    sub: string;
    /** Empty when the provider names none. */
    sid: string;
    provider: string;
    ends_ms: number;
  };
  /** Logout tokens that were taken: none is taken twice, and no login of before begins a session after it. */
  idp_logout: {
    issuer: string;
    jti: string;
    sub: string | null;
    sid: string | null;
    logout_ms: number;
    expires_ms: number;
  };
}

/** The schema of logins by identity providers; steps are only appended. */
export const idpMigrations: readonly Migration[] = [
  {
    name: '0001-idp',
    statements: [
      // A level more for sessions of people. SQLite changes no check of a column: the column is another one.
      'alter table person_session rename column acr to acr_before',
      `alter table person_session add column acr text not null default 'idp'
         check (acr in ('idp', 'phr', 'phrh'))`,
      'update person_session set acr = acr_before',
      'alter table person_session drop column acr_before',
      `create table idp_request (
         state_hash text primary key, provider text not null, uid text not null, cookie_hash text not null,
         nonce text not null, code_verifier text not null, not_before_ms integer not null,
         expires_ms integer not null
       ) strict`,
      'create index idp_request_uid on idp_request (uid)',
      'create index idp_request_expires on idp_request (expires_ms)',
      `create table idp_waiting (
         uid text primary key, provider text not null, issuer text not null, sub text not null, sid text,
         subject text not null, auth_time_ms integer not null, expires_ms integer not null
       ) strict`,
      'create index idp_waiting_expires on idp_waiting (expires_ms)',
      `create table idp_link (
         issuer text not null, sub text not null, subject text not null, provider text not null,
         linked_ms integer not null, last_login_ms integer not null,
         primary key (issuer, sub)
       ) strict`,
      // One account there for one person here: the other half of the pin.
      'create unique index idp_link_subject on idp_link (issuer, subject)',
      `create table idp_session (
         session_id text not null, issuer text not null, sub text not null, sid text not null,
         provider text not null, ends_ms integer not null,
         primary key (session_id, issuer, sub, sid)
       ) strict`,
      'create index idp_session_sub on idp_session (issuer, sub)',
      'create index idp_session_sid on idp_session (issuer, sid)',
      'create index idp_session_ends on idp_session (ends_ms)',
      `create table idp_logout (
         issuer text not null, jti text not null, sub text, sid text, logout_ms integer not null,
         expires_ms integer not null, primary key (issuer, jti)
       ) strict`,
      'create index idp_logout_expires on idp_logout (expires_ms)',
    ],
  },
];
