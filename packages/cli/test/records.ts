import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { ed25519NoteSigner, nodeDisk, openLog, verifierKey } from '@countersign/ledger';
import { type Event, encodeEvent } from '@countersign/model';

/** 1 February 2027, 10:00 UTC. */
export const START_MS = Date.UTC(2027, 1, 1, 10);

type Body = Event extends infer E
  ? E extends Event
    ? Omit<E, 'v' | 'origin' | 'seq'>
    : never
  : never;

/** What `writeLog` made. */
export interface WrittenLog {
  readonly folder: string;
  readonly vkey: string;
  readonly events: readonly Event[];
  readonly privateKey: KeyObject;
  /** After each commit. */
  readonly checkpoints: readonly string[];
}

/** Writes events to the log of a point, or of the authority, in a data folder, each under a checkpoint of its own, or all under one. */
export async function writeLog(
  dataRoot: string,
  name: string,
  bodies: readonly Body[],
  {
    isOneCommit = false,
    privateKey = generateKeyPairSync('ed25519').privateKey,
  }: { readonly isOneCommit?: boolean; readonly privateKey?: KeyObject } = {},
): Promise<WrittenLog> {
  const folder =
    name === 'authority' ? join(dataRoot, name, 'log') : join(dataRoot, 'points', name, 'log');
  const origin = `bank.example/${name}`;
  const log = await openLog({
    origin,
    signer: ed25519NoteSigner({ name: origin, privateKey }),
    disk: nodeDisk(folder),
    now: () => START_MS,
  });
  const events = bodies.map((body, seq) => ({ v: 1, origin, seq, ...body }) as Event);
  const checkpoints: string[] = [];
  for (const event of events) {
    const index = log.append(encodeEvent(event));
    if (isOneCommit) continue;
    await log.durable(index);
    checkpoints.push(log.checkpoint());
  }
  await log.close();
  return { folder, vkey: verifierKey(origin, privateKey), events, privateKey, checkpoints };
}

/** Appends events to a log that nobody writes, under its own key. */
export async function appendToLog(
  folder: string,
  bodies: readonly Body[],
  { origin, privateKey }: { readonly origin: string; readonly privateKey: KeyObject },
): Promise<void> {
  const log = await openLog({
    origin,
    signer: ed25519NoteSigner({ name: origin, privateKey }),
    disk: nodeDisk(folder),
    now: Date.now,
  });
  for (const body of bodies) {
    const event = { v: 1, origin, seq: log.nextIndex, ...body } as Event;
    await log.durable(log.append(encodeEvent(event)));
  }
  await log.close();
}

/** Writes the authority's log of checkpoints in a data folder: entries as given, each under a checkpoint of its own. */
export async function writeCheckpointLog(
  dataRoot: string,
  notes: readonly string[],
): Promise<{ readonly vkey: string; readonly checkpoint: string; readonly folder: string }> {
  const folder = join(dataRoot, 'authority', 'checkpoints');
  const origin = 'bank.example/authority/checkpoints';
  const { privateKey } = generateKeyPairSync('ed25519');
  const log = await openLog({
    origin,
    signer: ed25519NoteSigner({ name: origin, privateKey }),
    disk: nodeDisk(folder),
    now: () => START_MS,
  });
  for (const note of notes) await log.durable(log.append(Buffer.from(note)));
  const checkpoint = log.checkpoint();
  await log.close();
  return { vkey: verifierKey(origin, privateKey), checkpoint, folder };
}

/** A decision and its outcome. */
export function exchange(
  id: string,
  atMs: number,
  decision: Partial<Extract<Event, { kind: 'decision' }>> = {},
): Body[] {
  const surface = decision.surface ?? 'accounts';
  const mode = decision.mode ?? 'enforce';
  const isPermitted = (decision.effect ?? 'permit') === 'permit';
  const forwarded = isPermitted || mode === 'shadow';
  return [
    {
      kind: 'decision',
      id,
      at: atMs,
      effect: 'permit',
      enforced: isPermitted || mode === 'enforce',
      reason: 'policy-permits',
      surface,
      mode,
      action: 'GetAccount',
      method: 'GET',
      subject: 'spiffe://bank.example/partner/example',
      policyVersion: 'v',
      factSequence: 1,
      ...decision,
    },
    {
      kind: 'outcome',
      id,
      at: atMs + 1,
      surface,
      mode,
      status: forwarded ? 200 : 403,
      bytes: 10,
      forwarded,
    },
  ];
}
