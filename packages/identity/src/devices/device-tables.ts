import type { Assurance, DeviceIdentifier, DeviceOwnership, TriState } from '@countersign/model';
import type { Migration } from '@countersign/state';

/** The rows of devices. Times are milliseconds since the epoch. */
export interface DeviceTables {
  device: {
    /** SPIFFE ID. */
    id: string;
    ownership: DeviceOwnership;
    owner: string | null;
    /** RFC 7638 thumbprint of the key that it enrolled with. */
    key_thumbprint: string | null;
    registered_ms: number;
    enrolled_ms: number | null;
    /** When its last certificate was issued, and ends. */
    renewed_ms: number | null;
    certificate_ends_ms: number | null;
  };
  /** What sources call a device; each name is of one device. */
  device_identifier: { kind: DeviceIdentifier; value: string; device: string };
  /** The last word of each source on each signal; `signal` is also `score`, whose value is a number. */
  device_observation: {
    device: string;
    signal: string;
    source: string;
    value: TriState | string;
    observed_ms: number;
    assurance: Assurance;
  };
  /** Webhooks that were taken, so that none is twice. */
  device_webhook: { source: string; id: string; received_ms: number };
}

/** The schema of devices: a room of tables of its own. */
export const deviceMigrations: readonly Migration[] = [
  {
    name: '0001-devices',
    statements: [
      `create table device (
         id text primary key,
         ownership text not null check (ownership in ('corporate', 'personal', 'third-party')),
         owner text, key_thumbprint text, registered_ms integer not null,
         enrolled_ms integer, renewed_ms integer, certificate_ends_ms integer
       ) strict`,
      // One key is one device: whoever copied it is not let in a second time under another name.
      'create unique index device_key on device (key_thumbprint) where key_thumbprint is not null',
      `create table device_identifier (
         kind text not null, value text not null, device text not null, primary key (kind, value)
       ) strict`,
      'create index device_identifier_device on device_identifier (device)',
      `create table device_observation (
         device text not null, signal text not null, source text not null, value text not null,
         observed_ms integer not null, assurance text not null,
         primary key (device, signal, source)
       ) strict`,
      `create table device_webhook (
         source text not null, id text not null, received_ms integer not null,
         primary key (source, id)
       ) strict`,
      'create index device_webhook_received on device_webhook (received_ms)',
    ],
  },
];
