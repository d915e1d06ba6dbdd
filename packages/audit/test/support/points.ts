import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CollectorAlarm, PointRegistration } from '@countersign/audit';
import {
  ed25519NoteSigner,
  type Log,
  nodeDisk,
  openLog,
  parseVerifierKey,
  verifierKey,
} from '@countersign/ledger';
import { EVENT_VERSION, type Event, encodeEvent } from '@countersign/model';

export const NOW = 1_760_000_000_000;

/** An Ed25519 key that is the same in every run. */
export function fixedKey(byte: number) {
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.alloc(32, byte),
  ]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** A point of the bank: its registration, its key, and its log when it is opened. */
export function samplePoint(name: string, byte: number) {
  const origin = `bank.example/points/${name}`;
  const privateKey = fixedKey(byte);
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const vkey = verifierKey(origin, privateKey);
  const registration: PointRegistration = {
    origin,
    verifierKey: vkey,
    spiffeId: `spiffe://bank.example/workload/points/${name}`,
  };
  return {
    name,
    origin,
    signer,
    registration,
    verifier: parseVerifierKey(vkey),
    open: (folder: string): Promise<Log> =>
      openLog({ origin, signer, disk: nodeDisk(folder), now: () => NOW }),
  };
}

export type SamplePoint = ReturnType<typeof samplePoint>;

export const gateway = samplePoint('gateway', 1);
export const sidecar = samplePoint('sidecar', 2);
export const points = (name: string): PointRegistration | undefined =>
  [gateway, sidecar].find((each) => each.name === name)?.registration;

/** Events as the point writes them, with the envelope added. */
export type Body = { readonly kind: Event['kind']; readonly id?: string } & Record<string, unknown>;

export function decision(id: string, more: Record<string, unknown> = {}): Body {
  return {
    kind: 'decision',
    id,
    effect: 'permit',
    enforced: true,
    reason: 'policy-permits',
    policyVersion: 'v1',
    factSequence: 7,
    ...more,
  };
}

export function outcome(id: string, more: Record<string, unknown> = {}): Body {
  return { kind: 'outcome', id, status: 200, bytes: 12, forwarded: true, ...more };
}

export function closure(id: string): Body {
  return { kind: 'closure', id, cause: 'complete', bytes: 5, milliseconds: 3 };
}

export function encode(body: Body, place: { origin: string; seq: number }): Uint8Array {
  const envelope = { v: EVENT_VERSION, id: `event-${place.seq}`, at: NOW };
  return encodeEvent({ ...envelope, ...place, ...body } as unknown as Event);
}

/** Appends events to a log, one commit, and waits until they are durable. */
export async function appendEvents(log: Log, bodies: readonly Body[]): Promise<void> {
  for (const body of bodies) {
    log.append(encode(body, { origin: log.origin, seq: log.nextIndex }));
  }
  await log.durable(log.nextIndex - 1);
}

/** All of a log in one run, as a push carries it. */
export function runFrom(log: Log, start: number) {
  return log.read(start, { count: 1e6, bytesMax: 4e6 });
}

export function temporaryFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-audit-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export const kinds = (alarms: readonly CollectorAlarm[]) => alarms.map((each) => each.alarm);
