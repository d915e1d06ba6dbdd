import type { Migration } from '@countersign/state';

/** The rows of signals. Times are milliseconds since the epoch. */
export interface SignalTables {
  /** Streams to receivers; `body` is a `StreamRow` as JSON. */
  signal_stream: { id: string; client_id: string; body: string; last_position: number };
  /** Subjects that a receiver added to a stream or took from it; the newest word on a subject counts. */
  signal_subject: { stream_id: string; position: number; subject: string; is_included: number };
  /** What a stream has yet to deliver, in order; `event` is a `SecurityEvent` as JSON. */
  signal_outgoing: {
    stream_id: string;
    position: number;
    jti: string;
    type: string;
    event: string;
    queued_ms: number;
  };
  /** How far each shard of the authority's log was looked through. */
  signal_cursor: { origin: string; next: number };
  /** Who was disabled because a transmitter said so: it may take back that and nothing else. */
  signal_disabled: { source: string; subject: string };
  /** The newest word of a transmitter on whether a subject is enabled, by when it was issued. */
  signal_account: { source: string; subject: string; issued_ms: number };
  /** Tokens that were acted on, so that none is twice. */
  signal_received: { source: string; jti: string; received_ms: number };
}

/** The schema of signals: a room of tables of its own. */
export const signalMigrations: readonly Migration[] = [
  {
    name: '0001-signals',
    statements: [
      `create table signal_stream (
         id text primary key, client_id text not null, body text not null,
         last_position integer not null
       ) strict`,
      'create index signal_stream_client on signal_stream (client_id)',
      `create table signal_subject (
         stream_id text not null, position integer not null, subject text not null,
         is_included integer not null, primary key (stream_id, position)
       ) strict`,
      `create table signal_outgoing (
         stream_id text not null, position integer not null, jti text not null, type text not null,
         event text not null, queued_ms integer not null, primary key (stream_id, position)
       ) strict`,
      'create unique index signal_outgoing_jti on signal_outgoing (stream_id, jti)',
      'create table signal_cursor (origin text primary key, next integer not null) strict',
      `create table signal_received (
         source text not null, jti text not null, received_ms integer not null,
         primary key (source, jti)
       ) strict`,
      `create table signal_disabled (
         source text not null, subject text not null, primary key (source, subject)
       ) strict`,
      'create index signal_received_ms on signal_received (received_ms)',
    ],
  },
  {
    name: '0002-signal-account',
    statements: [
      `create table signal_account (
         source text not null, subject text not null, issued_ms integer not null,
         primary key (source, subject)
       ) strict`,
    ],
  },
];
