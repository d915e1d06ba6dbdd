import type { Clock, Fact, Signal } from '@countersign/model';
import { ModelError, subjectFromId } from '@countersign/model';
import { type Database, type FactLog, migrate } from '@countersign/state';
import { FailureGate } from '../failure-gate.ts';
import {
  consumeToken,
  createToken,
  endTokens,
  findToken,
  JOIN_TOKEN_TTL_SECONDS,
  JOIN_TOKEN_TTL_SECONDS_MAX,
} from '../joining/join-tokens.ts';
import type { Recorder } from '../new-event.ts';
import { svidPace } from '../nodes/paces.ts';
import { type Refusal, refusal } from '../refusal.ts';
import type { Registry } from '../registry.ts';
import { RequestPace } from '../request-pace.ts';
import type { RevocationResult, Revocations } from '../revocations.ts';
import type { Serial } from '../serial.ts';
import type { SvidGrant, Svids } from '../svids.ts';
import type { IdentityTables } from '../tables.ts';
import type {
  Device,
  DeviceDetails,
  DeviceEnrolment,
  DeviceReport,
  EnrolmentCode,
} from './device.ts';
import {
  type DeviceRegister,
  deviceFact,
  deviceSubject,
  keysOfDevice,
  removeDevice,
  writeDevice,
} from './device-register.ts';
import { reportOf, withObservations } from './device-report.ts';
import type { DeviceSettings } from './device-settings.ts';
import { deviceMigrations } from './device-tables.ts';
import { observationsOf } from './posture/observation-rows.ts';
import {
  PostureIntake,
  type PostureTaken,
  type UnreadablePosture,
} from './posture/posture-intake.ts';
import { identifiersOf } from './posture/read-value.ts';
import { readDeviceRequest } from './read-device-request.ts';

/** What devices need of the room. */
export interface DevicesOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly register: DeviceRegister;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly svids: Svids;
  readonly serial: Serial;
  readonly record: Recorder;
  readonly now: Clock;
  /** As the configuration says now. */
  readonly settings: () => DeviceSettings;
  /** Told when a device became, or is no more, compliant. */
  readonly onCompliance: (signal: Signal) => Promise<unknown>;
}

const NAME = /^(?=.{1,200}$)[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** The bank's devices: enrolment, certificates, posture. */
export class Devices {
  readonly #options: DevicesOptions;
  readonly #posture: PostureIntake;
  readonly #pace: RequestPace;
  /** Keeps those out for a while who show codes and keys that are none. */
  readonly strangers: FailureGate;

  private constructor(options: DevicesOptions) {
    this.#options = options;
    this.#pace = new RequestPace(options);
    this.strangers = new FailureGate({ ...options, listener: 'control' });
    this.#posture = new PostureIntake(options);
  }

  static async open(options: DevicesOptions): Promise<Devices> {
    await migrate(options.database, { room: 'devices', migrations: deviceMigrations });
    await options.register.load();
    return new Devices(options);
  }

  idOf(name: string): string {
    return `spiffe://${this.#options.factLog.trustDomain}/device/${name}`;
  }

  /**
   * Registers a device, or finds it, and makes a code with which it enrols once. Of a device that is enrolled already its key
   * stays good until the code is used.
   */
  enrolment(asked: DeviceEnrolment): Promise<EnrolmentCode | Refusal> {
    const { serial, register, database, factLog, record, now, revocations } = this.#options;
    return serial.run(async () => {
      const { name, ttlSeconds = JOIN_TOKEN_TTL_SECONDS, by } = asked;
      const id = this.idOf(name);
      if (!NAME.test(name) || !isSubject(id)) {
        return refusal('device-malformed', `found name '${name.slice(0, 200)}', expected words`);
      }
      if (!(ttlSeconds >= 1 && ttlSeconds <= JOIN_TOKEN_TTL_SECONDS_MAX)) {
        const bounds = `1 to ${JOIN_TOKEN_TTL_SECONDS_MAX}`;
        return refusal('device-malformed', `found a code of ${ttlSeconds} s, expected ${bounds}`);
      }
      const known = register.get(id);
      if (revocations.covers('subject', id)) return refusal('subject-revoked', `found ${id}`);
      const fault = this.#faultOf(asked, id);
      if (fault) return fault;
      const device: Device = {
        ...(known ?? { id, ownership: 'corporate', identifiers: {}, registeredAtMs: now() }),
        ...(asked.ownership && { ownership: asked.ownership }),
        ...(asked.owner !== undefined && { owner: asked.owner }),
        identifiers: { ...known?.identifiers, ...identifiersOf(asked.identifiers ?? {}) },
      };
      await record({
        ...{ kind: 'administration', action: 'device-registered', by, target: id },
        detail: {
          ownership: device.ownership,
          identifiers: { ...device.identifiers },
          isNew: !known,
        },
      });
      const puts: Fact[] = [deviceFact(device, register.fact(id)), deviceSubject(device)];
      await factLog.append({ puts }, { also: (transaction) => writeDevice(transaction, device) });
      register.note(device);
      // One code at a time: the one before may have gone to somebody else.
      await endTokens(database.tables<IdentityTables>(), { spiffeId: id, nowMs: now() });
      const made = await createToken(database, { spiffeId: id, ttlSeconds, nowMs: now() });
      return {
        ...{ isGranted: true, code: made.joinToken, expiresAtMs: made.expiresAtMs },
        ...{ spiffeId: id, isNew: !known },
      };
    });
  }

  /** Why it cannot be registered so: its owner is nobody, or one of its names is another's. */
  #faultOf({ owner, identifiers = {} }: DeviceEnrolment, id: string): Refusal | undefined {
    const { register, registry } = this.#options;
    if (owner !== undefined) {
      if (!isSubject(owner) || subjectFromId(owner).kind !== 'human') {
        return refusal(
          'device-malformed',
          `found owner '${owner.slice(0, 200)}', expected a person`,
        );
      }
      if (registry.subject(owner) === undefined) {
        return refusal('subject-unregistered', `found ${owner}, expected a registered person`);
      }
    }
    const usable = identifiersOf(identifiers);
    for (const [kind, value] of Object.entries(identifiers)) {
      const normal = usable[kind as keyof typeof usable];
      if (normal === undefined) {
        return refusal('device-malformed', `found ${kind} '${String(value).slice(0, 100)}'`);
      }
      const holder = register.named(kind as keyof typeof usable, normal);
      if (holder !== undefined && holder !== id) {
        return refusal('device-registered', `found ${kind} '${normal}', which is of ${holder}`);
      }
    }
    const own = registry.registration(id);
    return own && refusal('device-registered', `found ${id} in identities/`);
  }

  /**
   * The first certificate, for the key of a PKCS#10 request; the code is used up, and the key is the device's from now on. The
   * certificates that it had with another key are revoked.
   */
  async enrol(asked: {
    readonly code: string;
    readonly request: string;
  }): Promise<SvidGrant | Refusal> {
    const { database, svids, register, now } = this.#options;
    let formerKey: string | undefined;
    const granted = await svids.issueForDevice(async () => {
      const token = await findToken(database, { joinToken: asked.code, nowMs: now() });
      if (!token.isGranted) return { request: token };
      const { spiffeId } = token;
      const device = register.get(spiffeId);
      if (device === undefined) {
        const request = refusal('join-token-unknown', `the token of ${spiffeId} is for no device`);
        return { request, spiffeId };
      }
      const refused = svids.standing(spiffeId) ?? this.#ownerFault(device);
      if (refused) return { request: refused, spiffeId };
      const read = readDeviceRequest(asked.request);
      if (!read.isGranted) return { request: read, spiffeId };
      const { publicKey, keyThumbprint } = read;
      const holder = register.keyHolder(keyThumbprint);
      if (holder !== undefined && holder !== spiffeId) {
        const request = refusal('device-key', `found a key that ${holder} enrolled with`);
        return { request, spiffeId };
      }
      const nowMs = now();
      const isOther = device.keyThumbprint !== undefined && device.keyThumbprint !== keyThumbprint;
      formerKey = isOther ? device.keyThumbprint : undefined;
      const enrolled: Device = { ...device, keyThumbprint, enrolledAtMs: nowMs };
      return {
        ...{ spiffeId, via: 'device-code' as const, ttlSeconds: this.#ttlSeconds() },
        request: {
          isGranted: true,
          publicKey,
          id: `code ${keyThumbprint} ${nowMs}`,
          madeAtMs: nowMs,
        },
        facts: [
          deviceFact(enrolled, register.fact(spiffeId)),
          ...(isOther
            ? await svids.revocationsOf(spiffeId, 'the device enrolled with another key')
            : []),
        ],
        consume: async (transaction, { notAfterMs }) => {
          await consumeToken(transaction, { joinToken: asked.code, nowMs });
          await endTokens(transaction.tables<IdentityTables>(), { spiffeId, nowMs });
          await writeDevice(transaction, issued(enrolled, nowMs, notAfterMs));
        },
        granted: ({ notAfterMs }) => register.note(issued(enrolled, nowMs, notAfterMs)),
      };
    });
    if (granted.isGranted) {
      const { spiffeId } = granted;
      const reason = 'their device enrolled with another key';
      await this.#options.serial.run(() =>
        this.#endSessionsOf(formerKey, { reason, by: spiffeId }),
      );
      const detail = { keyThumbprint: register.get(spiffeId)?.keyThumbprint ?? '' };
      await this.#options.record({
        ...{
          kind: 'administration',
          action: 'device-enrolled',
          by: spiffeId,
          target: spiffeId,
          detail,
        },
      });
    }
    return granted;
  }

  /**
   * The next certificate, for the key that the device enrolled with, proved by a request that this key signed: also after the
   * last certificate ended, for a laptop that was away.
   *
   * @param asked `spiffeId` whose key it claims to be; `request` an `svid-request+jwt`
   */
  renew(asked: {
    readonly spiffeId: string;
    readonly request: string;
  }): Promise<SvidGrant | Refusal> {
    const { svids, register, now } = this.#options;
    const { spiffeId } = asked;
    // Both looks at one request take one.
    let paced: Promise<Refusal | undefined> | undefined;
    return svids.issueForDevice(async () => {
      const device = register.get(spiffeId);
      if (device?.keyThumbprint === undefined) {
        return { request: refusal('device-unknown', `found '${spiffeId.slice(0, 300)}'`) };
      }
      const request = await svids.verify(asked.request, spiffeId);
      if (!request.isGranted) return { request, spiffeId };
      // One that names nobody could be taken for another's.
      if (request.subject !== spiffeId) {
        return { request: refusal('request-subject', `found no subject, expected '${spiffeId}'`) };
      }
      // The key is the device's: nobody else uses up what it has.
      paced ??= this.#pace.refuse(
        spiffeId,
        new Map([[`device ${spiffeId}`, svidPace(this.#ttlSeconds())]]),
      );
      const tooOften = await paced;
      if (tooOften) return { request: tooOften, spiffeId };
      const fault = this.#ownerFault(device);
      if (fault) return { request: fault, spiffeId };
      const nowMs = now();
      const endMs =
        (device.certificateEndsAtMs ?? 0) + this.#options.settings().absenceSeconds * 1000;
      if (nowMs > endMs) {
        const last = new Date(device.certificateEndsAtMs ?? 0).toISOString();
        const request = refusal(
          'device-absent',
          `found ${spiffeId}, whose certificate ended ${last}`,
        );
        return { request, spiffeId };
      }
      return {
        ...{ spiffeId, request, via: 'device-key' as const, ttlSeconds: this.#ttlSeconds() },
        consume: (transaction, { notAfterMs }) =>
          writeDevice(transaction, issued(device, nowMs, notAfterMs)),
        granted: ({ notAfterMs }) => register.note(issued(device, nowMs, notAfterMs)),
      };
    });
  }

  /** Whoever left has no device that gets on; the bank gives it to somebody else, or keeps it. */
  #ownerFault({ owner }: Device): Refusal | undefined {
    if (owner === undefined) return undefined;
    const { registry, revocations } = this.#options;
    if (registry.subject(owner)?.enabled !== true) {
      return refusal('subject-disabled', `found owner ${owner}, who is disabled`);
    }
    return revocations.covers('subject', owner)
      ? refusal('subject-revoked', `found owner ${owner}, who is revoked`)
      : undefined;
  }

  #ttlSeconds(): number {
    return this.#options.settings().certificateTtlSeconds;
  }

  /** It is refused everywhere at once, and gets no certificate. */
  revoke(
    name: string,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<RevocationResult> {
    const { database, register, revocations, now } = this.#options;
    return this.#known(name, async (value) => {
      await endTokens(database.tables<IdentityTables>(), { spiffeId: value, nowMs: now() });
      const result = await revocations.revoke({ target: 'subject', value, reason, by });
      const key = register.get(value)?.keyThumbprint;
      await this.#endSessionsOf(key, { reason: 'their device was revoked', by });
      return result;
    });
  }

  /** Takes back what {@link revoke} did; its key is good again. */
  restore(name: string, { by }: { readonly by: string }): Promise<RevocationResult> {
    return this.#known(name, (value) =>
      this.#options.revocations.reinstate({ target: 'subject', value, by }),
    );
  }

  /** Forgets a device: it is nobody from now on, and all that was said of it is gone. */
  remove(name: string, { by }: { readonly by: string }): Promise<RevocationResult> {
    const { register, factLog, record, now, svids } = this.#options;
    return this.#known(name, async (id) => {
      const device = register.get(id);
      if (device === undefined) throw new Error('broken invariant: a known device is there');
      await factLog.append(
        // Another device may get the name; it is not to be had with a certificate of this one, nor refused for it.
        {
          puts: await svids.revocationsOf(id, 'the device was removed'),
          removes: [...keysOfDevice(device), `revocation subject ${id}`],
        },
        {
          also: async (transaction) => {
            await endTokens(transaction.tables<IdentityTables>(), { spiffeId: id, nowMs: now() });
            await removeDevice(transaction, id);
          },
        },
      );
      register.forget(id);
      const reason = 'their device was removed';
      await this.#endSessionsOf(device.keyThumbprint, { reason, by });
      await record({ kind: 'administration', action: 'device-removed', by, target: id });
      return { isGranted: true, untilMs: now() };
    });
  }

  /**
   * Ends the sessions whose tokens are bound to the key of a device that is none any more: nobody would know that key as a
   * device's, and it would get tokens still.
   */
  async #endSessionsOf(
    keyThumbprint: string | undefined,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<void> {
    if (keyThumbprint === undefined) return;
    const { database, revocations } = this.#options;
    const tables = database.tables<IdentityTables>();
    const [granted, client] = await Promise.all([
      tables
        .selectFrom('person_grant')
        .select('session_id as id')
        .distinct()
        .where('thumbprint', '=', keyThumbprint)
        .execute(),
      tables
        .selectFrom('session')
        .select('id')
        .where('binding', '=', 'dpop')
        .where('thumbprint', '=', keyThumbprint)
        .where('revoked_ms', 'is', null)
        .execute(),
    ]);
    for (const { id } of [...granted, ...client]) {
      // One that is over by now is not found, and needs no end.
      await revocations.revoke({ target: 'session', value: id, reason, by });
    }
  }

  async #known(
    name: string,
    run: (id: string) => Promise<RevocationResult>,
  ): Promise<RevocationResult> {
    const { serial, register } = this.#options;
    const id = this.idOf(name);
    return serial.run(async () =>
      register.has(id)
        ? run(id)
        : refusal('device-unknown', `found no device '${name.slice(0, 200)}'`),
    );
  }

  /** Whether a subject is a device that is kept here. */
  has(spiffeId: string): boolean {
    return this.#options.register.has(spiffeId);
  }

  list(): readonly DeviceReport[] {
    return this.#options.register.all().map((device) => this.#report(device));
  }

  /** All that is known of one; nothing when there is none of that name. */
  async show(name: string): Promise<DeviceDetails | undefined> {
    const { register, database, settings, now } = this.#options;
    const device = register.get(this.idOf(name));
    if (device === undefined) return undefined;
    const { signals } = (await observationsOf(database, [device.id])).get(device.id) ?? {};
    return withObservations(this.#report(device), signals ?? [], {
      ...{ settings: settings().posture, nowMs: now() },
    });
  }

  #report(device: Device): DeviceReport {
    const { register, revocations, now } = this.#options;
    const isRevoked = revocations.covers('subject', device.id);
    return reportOf(device, { fact: register.fact(device.id), isRevoked, nowMs: now() });
  }

  /** Takes what a source says of devices: JSON in the source's own shape. */
  takePosture(
    text: string,
    about: { readonly source: string; readonly by: string },
  ): Promise<PostureTaken | UnreadablePosture> {
    return this.#posture.take(text, about);
  }

  /** Takes a CAEP device-compliance-change; false when it names no device here. */
  takeCompliance(about: Parameters<PostureIntake['takeCompliance']>[0]): Promise<boolean> {
    return this.#posture.takeCompliance(about);
  }

  /** Drops from facts what got too old, and applies settings that changed; to be called now and then. */
  async sweep(): Promise<void> {
    await this.strangers.sweep();
    await this.#posture.sweep();
  }
}

function issued(device: Device, nowMs: number, certificateEndsAtMs: number): Device {
  return { ...device, renewedAtMs: nowMs, certificateEndsAtMs };
}

function isSubject(id: string): boolean {
  try {
    subjectFromId(id);
    return true;
  } catch (error) {
    if (error instanceof ModelError) return false;
    throw error;
  }
}
