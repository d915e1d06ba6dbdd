import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  LedgerError,
  type LogEntries,
  type Mirror,
  nodeDisk,
  openCheckpoint,
  openMirror,
  parseVerifierKey,
  removedCheckpoint,
} from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { throttleAlarms } from './alarm-throttle.ts';
import { AuditError } from './audit-error.ts';
import type {
  Collector,
  CollectorAlarmKind,
  CollectorOptions,
  CollectorRefusal,
  PointRegistration,
  PushOutcome,
  PushRefusal,
} from './collector.ts';
import { readEvents } from './read-events.ts';
import { endOfShard } from './shards/shard-events.ts';
import { compareShards } from './shards/shard-name.ts';

/** A name becomes a folder: nothing that a path could be made of. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}(@[0-9qm]{4,7})?$/;
/** In the mirror of a closed shard: its last checkpoint. */
const SEAL = 'sealed';
const READ_BYTES_MAX = 1024 * 1024;
const READ_COUNT_MAX = 4096;

/** Which refusals are worth a person's attention; the others are part of ordinary pushing. */
const ALARMS: Partial<Record<PushRefusal, CollectorAlarmKind>> = {
  fork: 'log-fork',
  gap: 'log-gap',
  rollback: 'log-rollback',
  signature: 'log-foreign',
};

/**
 * Opens a collector. Mirrors open when their point first pushes or is asked for; one that cannot be
 * opened, or whose disk fails, raises an alarm and refuses (`unavailable`) until the collector is opened anew.
 */
export async function openCollector(options: CollectorOptions): Promise<Collector> {
  const { folder } = options;
  const names = await namesIn(folder);
  const marked = await Promise.all(names.map((name) => isMarked(folder, name)));
  return new MirrorCollector(options, {
    names,
    removed: names.filter((_, at) => marked[at]),
    sealed: await sealedIn(folder, names),
  });
}

interface Held {
  readonly registration: PointRegistration;
  readonly mirror: Promise<Mirror>;
  /** The push that is being taken: one at a time, so that events keep their order. */
  taking: Promise<unknown> | undefined;
  heardAtMs: number | undefined;
  refusal: CollectorRefusal | undefined;
}

class MirrorCollector implements Collector {
  readonly #options: CollectorOptions;
  readonly #alarm: (name: string, alarm: CollectorAlarmKind, detail: string) => void;
  readonly #held = new Map<string, Held>();
  /** Of mirrors that were there before, and of those that were made. */
  readonly #names: Set<string>;
  readonly #removed: Set<string>;
  /** Mirrors of closed shards that are not open: their last checkpoints, as they stand on disk. */
  readonly #sealed: Map<string, string>;
  readonly #closed: Set<string>;
  /** Given to somebody else for a while. */
  readonly #released = new Set<string>();
  #isClosed = false;

  constructor(
    options: CollectorOptions,
    found: {
      readonly names: readonly string[];
      readonly removed: readonly string[];
      readonly sealed: ReadonlyMap<string, string>;
    },
  ) {
    this.#options = options;
    this.#names = new Set(found.names);
    this.#removed = new Set(found.removed);
    this.#sealed = new Map(found.sealed);
    this.#closed = new Set(found.sealed.keys());
    this.#alarm = throttleAlarms(options);
  }

  point(name: string): PointRegistration | undefined {
    return NAME.test(name) ? this.#options.points(name) : undefined;
  }

  names(): readonly string[] {
    return [...this.#names].sort(compareShards);
  }

  isClosed(name: string): boolean {
    return this.#closed.has(name);
  }

  isRemoved(name: string): boolean {
    return this.#removed.has(name) || this.#released.has(name);
  }

  async release(name: string): Promise<() => Promise<void>> {
    this.#released.add(name);
    const held = this.#held.get(name);
    this.#held.delete(name);
    await held?.taking?.catch(() => undefined);
    await held?.mirror.then((mirror) => mirror.close()).catch(() => undefined);
    return async () => {
      if (await isMarked(this.#options.folder, name)) this.#removed.add(name);
      this.#released.delete(name);
    };
  }

  async accept(name: string, push: LogEntries): Promise<PushOutcome> {
    if (this.#isClosed) return refuse('unavailable', 'found the collector closed');
    if (this.#released.has(name)) return refuse('unavailable', 'found the mirror at work');
    const held = this.#hold(name);
    if (held === undefined) return refuse('unknown', `found no point '${name.slice(0, 64)}'`);
    if (held.taking !== undefined) return refuse('busy', 'found another push being taken');
    const taking = this.#take(name, held, push);
    held.taking = taking;
    try {
      return await taking;
    } finally {
      held.taking = undefined;
    }
  }

  async size(name: string): Promise<number | undefined> {
    return this.#sealedOf(name)?.size ?? (await this.#mirror(name))?.size;
  }

  heardAtMs(name: string): number | undefined {
    return this.#held.get(name)?.heardAtMs;
  }

  refusal(name: string): CollectorRefusal | undefined {
    return this.#held.get(name)?.refusal;
  }

  async checkpoint(name: string): Promise<string | undefined> {
    return this.#sealedOf(name)?.note ?? (await this.#mirror(name))?.checkpoint();
  }

  async *events(name: string, from: number): AsyncGenerator<readonly Event[], void, undefined> {
    // Nothing to read: no reason to open it.
    if (from >= (this.#sealedOf(name)?.size ?? Number.POSITIVE_INFINITY)) return;
    const mirror = await this.#readable(name);
    for (let index = from; index < mirror.size; ) {
      const bounds = { count: READ_COUNT_MAX, bytesMax: READ_BYTES_MAX };
      const { start, entries } = await mirror.read(index, bounds);
      yield readEvents(entries, { origin: mirror.origin, start }).events;
      index += entries.length;
    }
  }

  async read(
    name: string,
    index: number,
    bounds: { count: number; bytesMax: number },
  ): Promise<LogEntries> {
    return (await this.#readable(name)).read(index, bounds);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { mirror, taking } of this.#held.values()) {
      await taking?.catch(() => undefined);
      await mirror.then((opened) => opened.close()).catch(() => undefined);
    }
    this.#held.clear();
  }

  async #take(name: string, held: Held, push: LogEntries): Promise<PushOutcome> {
    let before = 0;
    let outcome: PushOutcome;
    try {
      const mirror = await held.mirror;
      before = mirror.size;
      outcome = await mirror.take(push);
    } catch (error) {
      if (isRemoved(error)) return this.#refuseRemoved(name);
      this.#alarm(name, 'mirror-failed', messageOf(error));
      this.#refuse(held, { code: 'unavailable', detail: messageOf(error) });
      return refuse('unavailable', 'found a mirror that failed');
    }
    // An ordinary refusal is a sign of life too: the mirror lacks entries, and they come next.
    if (outcome.kind === 'taken' || outcome.code === 'extent') {
      held.heardAtMs = this.#options.now();
    }
    if (outcome.kind === 'refused') {
      const alarm = ALARMS[outcome.code];
      if (alarm !== undefined) {
        this.#alarm(name, alarm, outcome.detail);
        this.#refuse(held, outcome);
      }
      return outcome;
    }
    // An older part of the log may be shown, and be as it was, while its newest is another history.
    if (sizeOf(push.checkpoint) >= before) held.refusal = undefined;
    if (outcome.size > before) await this.#publish(name, held, before, push);
    return outcome;
  }

  async #refuseRemoved(name: string): Promise<PushOutcome> {
    const note = await removedCheckpoint(nodeDisk(join(this.#options.folder, name)));
    const detail = 'found that the entries of this log were removed';
    return { kind: 'refused', code: 'removed', detail, size: sizeOf(note ?? '') };
  }

  /** A shard that is closed is not opened at each start, only to say how long it is. */
  async #seal(name: string, { entries, checkpoint }: LogEntries): Promise<void> {
    if (!endOfShard(entries.at(-1)).isClosed) return;
    this.#closed.add(name);
    try {
      await nodeDisk(join(this.#options.folder, name)).replace(SEAL, Buffer.from(checkpoint));
    } catch (error) {
      this.#alarm(name, 'mirror-failed', messageOf(error));
    }
  }

  /** Of a mirror that is not open; believed because the registered key signed it. */
  #sealedOf(name: string): { readonly size: number; readonly note: string } | undefined {
    const note = this.#sealed.get(name);
    if (note === undefined || this.#isClosed || this.#held.has(name)) return undefined;
    if (this.#released.has(name) || this.#removed.has(name)) return undefined;
    const registration = this.point(name);
    if (registration === undefined) return undefined;
    try {
      const { size } = openCheckpoint(note, [parseVerifierKey(registration.verifierKey)]);
      return { size, note };
    } catch {
      // Then the mirror itself says it.
      this.#sealed.delete(name);
      return undefined;
    }
  }

  #refuse(held: Held, { code, detail }: { readonly code: PushRefusal; readonly detail: string }) {
    // A point with another history is refused in other words each time that it shows another part of it.
    if (held.refusal?.code === 'fork' && code !== 'fork') return;
    const sinceMs = held.refusal?.sinceMs ?? this.#options.now();
    held.refusal = { code, detail, sinceMs };
  }

  async #publish(name: string, held: Held, before: number, push: LogEntries): Promise<void> {
    await this.#seal(name, push);
    const { events, unreadable } = readEvents(push.entries.slice(before - push.start), {
      origin: held.registration.origin,
      start: before,
    });
    const [first] = unreadable;
    if (first !== undefined) {
      const found = `found ${unreadable.length} entries that are no events of this log, the first at ${first.index}: ${first.detail}`;
      this.#alarm(name, 'event-unreadable', found);
    }
    if (events.length === 0) return;
    try {
      await this.#options.onEvents(name, events);
    } catch (error) {
      // The entries are taken: refusing the push now would say otherwise.
      this.#alarm(name, 'events-unprocessed', `from entry ${before}: ${messageOf(error)}`);
    }
  }

  async #readable(name: string): Promise<Mirror> {
    const mirror = await this.#mirror(name);
    if (mirror !== undefined) return mirror;
    const found = `could not read events: found no mirror of '${name}'`;
    throw new AuditError('ERR_AUDIT_POINT_UNKNOWN', found);
  }

  async #mirror(name: string): Promise<Mirror | undefined> {
    if (this.#isClosed || this.#released.has(name)) return undefined;
    return this.#hold(name)?.mirror.catch(() => undefined);
  }

  #hold(name: string): Held | undefined {
    const registration = this.point(name);
    if (registration === undefined) return undefined;
    const known = this.#held.get(name);
    // A point registered anew under the same name is another log: it does not get the old one's mirror,
    // and its folder stays the old one's until a person moves it away.
    const isSame =
      known?.registration.verifierKey === registration.verifierKey &&
      known.registration.origin === registration.origin;
    if (known !== undefined && isSame) return known;
    const { origin, verifierKey } = registration;
    const disk = nodeDisk(join(this.#options.folder, name));
    const mirror = (known?.mirror.then((old) => old.close()) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => openMirror({ origin, verifierKey, disk, now: this.#options.now }));
    this.#names.add(name);
    mirror.catch((error) => {
      if (isRemoved(error)) this.#removed.add(name);
      else this.#alarm(name, 'mirror-failed', messageOf(error));
    });
    const held: Held = {
      registration,
      mirror,
      taking: undefined,
      heardAtMs: undefined,
      refusal: undefined,
    };
    this.#held.set(name, held);
    return held;
  }
}

function refuse(code: PushRefusal, detail: string): PushOutcome {
  return { kind: 'refused', code, detail };
}

/** Of a checkpoint that was taken: its second line. */
function sizeOf(note: string): number {
  return Number(note.split('\n', 2)[1]);
}

/** Retention took the entries of this log: nothing is wrong. */
function isRemoved(error: unknown): boolean {
  return error instanceof LedgerError && error.code === 'ERR_LEDGER_REMOVED';
}

async function sealedIn(
  folder: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const sealed = new Map<string, string>();
  for (const name of names) {
    const disk = nodeDisk(join(folder, name));
    if (!(await disk.list()).includes(SEAL)) continue;
    sealed.set(name, Buffer.from(await disk.read(SEAL)).toString());
  }
  return sealed;
}

async function isMarked(folder: string, name: string): Promise<boolean> {
  return (await removedCheckpoint(nodeDisk(join(folder, name)))) !== undefined;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
    .map((entry) => entry.name);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
