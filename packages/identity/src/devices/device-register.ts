import { type DeviceIdentifier, type Fact, factKey } from '@countersign/model';
import type { Database, FactLog, Transaction } from '@countersign/state';
import type { Device } from './device.ts';
import type { DeviceTables } from './device-tables.ts';
import { normalIdentifier } from './posture/read-value.ts';

export type DeviceFact = Extract<Fact, { kind: 'device' }>;

/** By which other processes hear which devices' rows changed. */
const TOPIC = 'devices';

/** Which devices there are: in memory, behind the rows and facts that say the same. */
export class DeviceRegister {
  readonly #database: Database;
  readonly #factLog: FactLog;
  #devices = new Map<string, Device>();
  #byIdentifier = new Map<string, string>();

  constructor(database: Database, factLog: FactLog) {
    this.#database = database;
    this.#factLog = factLog;
  }

  /** Reads them, and follows what other processes write. */
  load(): Promise<void> {
    return this.#database.follow(TOPIC, (transaction, keys) => this.#read(transaction, keys));
  }

  async #read(transaction: Transaction, keys?: ReadonlySet<string>): Promise<void> {
    const tables = transaction.tables<DeviceTables>();
    const ids = keys && [...keys];
    const rows = await tables
      .selectFrom('device')
      .selectAll()
      .$if(ids !== undefined, (of) => of.where('id', 'in', ids ?? []))
      .execute();
    const names = await tables
      .selectFrom('device_identifier')
      .selectAll()
      .$if(ids !== undefined, (of) => of.where('device', 'in', ids ?? []))
      .execute();
    const identifiers = new Map<string, Partial<Record<DeviceIdentifier, string>>>();
    for (const { kind, value, device } of names) {
      identifiers.set(device, { ...identifiers.get(device), [kind]: value });
    }
    for (const id of ids ?? [...this.#devices.keys()]) this.forget(id);
    for (const row of rows) this.note(deviceOf(row, identifiers.get(row.id) ?? {}));
  }

  has(id: string): boolean {
    return this.#devices.has(id);
  }

  get(id: string): Device | undefined {
    return this.#devices.get(id);
  }

  all(): readonly Device[] {
    return [...this.#devices.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Whom an identifier names. */
  named(kind: DeviceIdentifier, value: string): string | undefined {
    return this.#byIdentifier.get(nameOf(kind, value));
  }

  /** Which device enrolled with a key. */
  keyHolder(keyThumbprint: string): string | undefined {
    for (const [id, device] of this.#devices) if (device.keyThumbprint === keyThumbprint) return id;
    return undefined;
  }

  fact(id: string): DeviceFact | undefined {
    const fact = this.#factLog.get(`device ${id}`);
    return fact?.kind === 'device' ? fact : undefined;
  }

  /** After its rows were written. */
  note(device: Device): void {
    this.forget(device.id);
    this.#devices.set(device.id, device);
    for (const [kind, value] of namesOf(device)) {
      this.#byIdentifier.set(nameOf(kind, value), device.id);
    }
  }

  /** After its rows were removed. */
  forget(id: string): void {
    const device = this.#devices.get(id);
    if (device === undefined) return;
    this.#devices.delete(id);
    for (const [kind, value] of namesOf(device)) this.#byIdentifier.delete(nameOf(kind, value));
  }
}

/** Writes a device's rows in the place of those that were. */
export async function writeDevice(transaction: Transaction, device: Device): Promise<void> {
  const tables = transaction.tables<DeviceTables>();
  const row: DeviceTables['device'] = {
    id: device.id,
    ownership: device.ownership,
    owner: device.owner ?? null,
    key_thumbprint: device.keyThumbprint ?? null,
    registered_ms: device.registeredAtMs,
    enrolled_ms: device.enrolledAtMs ?? null,
    renewed_ms: device.renewedAtMs ?? null,
    certificate_ends_ms: device.certificateEndsAtMs ?? null,
  };
  await tables.deleteFrom('device').where('id', '=', device.id).execute();
  await tables.insertInto('device').values(row).execute();
  await tables.deleteFrom('device_identifier').where('device', '=', device.id).execute();
  for (const [kind, value] of namesOf(device)) {
    await tables
      .insertInto('device_identifier')
      .values({ kind, value, device: device.id })
      .execute();
  }
  await transaction.touch(TOPIC, device.id);
}

/** Removes all that is kept of a device. */
export async function removeDevice(transaction: Transaction, id: string): Promise<void> {
  const tables = transaction.tables<DeviceTables>();
  await tables.deleteFrom('device').where('id', '=', id).execute();
  await tables.deleteFrom('device_identifier').where('device', '=', id).execute();
  await tables.deleteFrom('device_observation').where('device', '=', id).execute();
  await transaction.touch(TOPIC, id);
}

/** What points are told of a device; its posture stays as it is. */
export function deviceFact(
  { id, ownership, owner, keyThumbprint }: Device,
  known?: Pick<DeviceFact, 'posture' | 'score'>,
): DeviceFact {
  const { posture = {}, score } = known ?? {};
  return {
    ...{ kind: 'device', id, ownership },
    ...(owner !== undefined && { owner }),
    ...(keyThumbprint !== undefined && { keyThumbprint }),
    posture,
    ...(score !== undefined && { score }),
  };
}

/** The device as a subject: what is enabled, revoked, and gets certificates. */
export function deviceSubject({ id, owner }: Device): Extract<Fact, { kind: 'subject' }> {
  return {
    ...{ kind: 'subject', id, enabled: true, owner: owner ?? 'shared' },
    ...{ attributes: {}, parents: [], certificates: [] },
  };
}

/** The keys of the facts that a device has. */
export function keysOfDevice(device: Device): readonly string[] {
  return [deviceFact(device), deviceSubject(device)].map(factKey);
}

function namesOf({ identifiers }: Device): [DeviceIdentifier, string][] {
  return Object.entries(identifiers) as [DeviceIdentifier, string][];
}

function nameOf(kind: DeviceIdentifier, value: string): string {
  return `${kind} ${normalIdentifier(value)}`;
}

function deviceOf(row: DeviceTables['device'], identifiers: Device['identifiers']): Device {
  const { owner, key_thumbprint, enrolled_ms, renewed_ms, certificate_ends_ms } = row;
  return {
    ...{ id: row.id, ownership: row.ownership, identifiers, registeredAtMs: row.registered_ms },
    ...(owner !== null && { owner }),
    ...(key_thumbprint !== null && { keyThumbprint: key_thumbprint }),
    ...(enrolled_ms !== null && { enrolledAtMs: enrolled_ms }),
    ...(renewed_ms !== null && { renewedAtMs: renewed_ms }),
    ...(certificate_ends_ms !== null && { certificateEndsAtMs: certificate_ends_ms }),
  };
}
