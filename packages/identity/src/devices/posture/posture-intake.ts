import {
  ASSURANCES,
  type Assurance,
  type Clock,
  compactId,
  DEVICE_IDENTIFIERS,
  type Fact,
  type PostureSignal,
  postureAt,
  type Signal,
  type TriState,
} from '@countersign/model';
import type { Database, FactLog } from '@countersign/state';
import type { Recorder } from '../../new-event.ts';
import type { Serial } from '../../serial.ts';
import { type DeviceFact, type DeviceRegister, deviceFact } from '../device-register.ts';
import type { DeviceSettings, PostureSource } from '../device-settings.ts';
import { factPosture, isWorthTelling } from './fact-posture.ts';
import { readPostureReport } from './formats.ts';
import type { DeviceObservation } from './observation.ts';
import {
  type KeptPosture,
  keepObservations,
  type NewObservation,
  observationsOf,
} from './observation-rows.ts';
import { SilentSources } from './silent-sources.ts';

/** What became of a report. */
export interface PostureTaken {
  readonly isTaken: true;
  /** Devices of ours that it told of. */
  readonly devices: number;
  /** Those whose posture is another one by it. */
  readonly changed: number;
  /** How many it told of that are none of ours, or could be two of ours. */
  readonly unknown: number;
  /** What could not be read, or was said of the future; at most ten of them. */
  readonly unread: readonly string[];
}

/** Why nothing of it was taken. */
export interface UnreadablePosture {
  readonly isTaken: false;
  readonly code: 'source-unknown' | 'report-malformed';
  readonly detail: string;
}

/** A device-compliance-change that came as a signal. */
export interface ComplianceChange {
  /** Who says so: `signals:<transmitter>`. */
  readonly source: string;
  /** By what it names the device: any of our identifiers, its name, or its SPIFFE ID. */
  readonly names: readonly string[];
  readonly isCompliant: boolean;
  readonly observedAtMs: number;
}

interface IntakeOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly register: DeviceRegister;
  readonly serial: Serial;
  readonly record: Recorder;
  readonly now: Clock;
  readonly settings: () => DeviceSettings;
  readonly onCompliance: (signal: Signal) => Promise<unknown>;
}

/** How far a source's clock may be ahead of ours. */
const AHEAD_MS_MAX = 5 * 60_000;
const TOLD_MAX = 10;
/** Devices in one change of facts: each is some kilobytes, and readers take a change as a whole. */
const DEVICES_A_CHANGE = 500;

/** Takes what sources say, keeps the last word of each, and tells points what it comes to. */
export class PostureIntake {
  readonly #options: IntakeOptions;
  readonly #silent: SilentSources;
  /** What facts were made by; when it changes, all of them are made again. */
  #settingsSeen: string | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#silent = new SilentSources(options);
  }

  async take(
    text: string,
    { source: name, by }: { readonly source: string; readonly by: string },
  ): Promise<PostureTaken | UnreadablePosture> {
    const source = this.#options.settings().posture.sources.find((each) => each.name === name);
    if (source === undefined) {
      const names = this.#options.settings().posture.sources.map((each) => each.name);
      const detail = `found '${name.slice(0, 100)}', expected one of ${names.join(', ') || 'none'}`;
      return { isTaken: false, code: 'source-unknown', detail };
    }
    const report = readPostureReport(text, source);
    if ('fault' in report) {
      return { isTaken: false, code: 'report-malformed', detail: report.fault };
    }
    this.#silent.heard(name);
    const unread = report.unread.map(({ index, why }) => `device ${index}: ${why}`);
    const told = new Map<string, NewObservation[]>();
    let unknown = 0;
    for (const observation of report.devices) {
      const device = this.#deviceOf(observation);
      if (device === undefined) {
        unknown++;
        continue;
      }
      const found = newObservations(observation, { device, source, nowMs: this.#options.now() });
      if (found.ahead) unread.push(`${device}: ${found.ahead}`);
      told.set(device, [...(told.get(device) ?? []), ...found.observations]);
    }
    const changed = await this.#keep(told, source.name);
    const summary = { devices: told.size, changed, unknown, unread: unread.slice(0, TOLD_MAX) };
    // Every change of a device is in the facts' history; the event says who told us.
    await this.#options.record({
      ...{ kind: 'administration', action: 'posture-received', by, target: source.name },
      detail: { ...summary, unread: unread.length },
    });
    return { isTaken: true, ...summary };
  }

  async takeCompliance(change: ComplianceChange): Promise<boolean> {
    const found = new Set(change.names.flatMap((name) => this.#anyNamed(name) ?? []));
    const [device] = found;
    // Two names for two devices name none.
    if (device === undefined || found.size > 1) return false;
    const observation: NewObservation = {
      ...{ device, signal: 'compliant', source: change.source, assurance: 'managed' },
      value: change.isCompliant ? 'true' : 'false',
      observedAtMs: Math.min(change.observedAtMs, this.#options.now()),
    };
    await this.#keep(new Map([[device, [observation]]]), change.source);
    return true;
  }

  /** The one device of ours that all names of an observation lead to; names that nobody has lead nowhere. */
  #deviceOf({ name, identifiers }: DeviceObservation): string | undefined {
    const { register } = this.#options;
    const found = new Set(
      [
        name === undefined ? undefined : this.#named(name),
        ...DEVICE_IDENTIFIERS.map((kind) => {
          const value = identifiers[kind];
          return value === undefined ? undefined : register.named(kind, value);
        }),
      ].filter((id) => id !== undefined),
    );
    return found.size === 1 ? [...found][0] : undefined;
  }

  #anyNamed(name: string): string | undefined {
    const { register } = this.#options;
    const found = new Set(
      [this.#named(name), ...DEVICE_IDENTIFIERS.map((kind) => register.named(kind, name))].filter(
        (id) => id !== undefined,
      ),
    );
    return found.size === 1 ? [...found][0] : undefined;
  }

  #named(name: string): string | undefined {
    const { register, factLog } = this.#options;
    const prefix = `spiffe://${factLog.trustDomain}/device/`;
    const id = name.startsWith(prefix) ? name : `${prefix}${name}`;
    return register.has(id) ? id : undefined;
  }

  async #keep(
    told: ReadonlyMap<string, readonly NewObservation[]>,
    source: string,
  ): Promise<number> {
    const ids = [...told.keys()];
    let changed = 0;
    for (let start = 0; start < ids.length; start += DEVICES_A_CHANGE) {
      const some = ids.slice(start, start + DEVICES_A_CHANGE);
      const news = some.flatMap((id) => told.get(id) ?? []);
      const facts = await this.#options.serial.run(() => this.#renew(some, news));
      changed += facts.filter(({ isOther }) => isOther).length;
      for (const { before, after } of facts) await this.#tellCompliance(before, after, source);
    }
    return changed;
  }

  /** Keeps observations, and makes the facts of these devices what all that is kept of them comes to. */
  async #renew(ids: readonly string[], news: readonly NewObservation[]) {
    const { database, factLog, register, settings, now } = this.#options;
    const nowMs = now();
    // One that was removed meanwhile is none any more.
    const present = ids.filter((id) => register.has(id));
    const kept = await observationsOf(database, present);
    const fresh = lastOfEach(news).filter(
      (each) => register.has(each.device) && isNews(each, kept.get(each.device)),
    );
    const facts = present.flatMap((id) => {
      const device = register.get(id);
      const before = register.fact(id);
      if (device === undefined || before === undefined) return [];
      const all = withNews(
        kept.get(id),
        fresh.filter((each) => each.device === id),
      );
      const after = deviceFact(device, factPosture(all, { settings: settings().posture, nowMs }));
      return [{ before, after, isOther: isWorthTelling(before, after, nowMs) }];
    });
    const puts: Fact[] = facts.filter(({ isOther }) => isOther).map(({ after }) => after);
    if (puts.length > 0) {
      await factLog.append(
        { puts },
        { also: (transaction) => keepObservations(transaction, fresh) },
      );
    } else if (fresh.length > 0) {
      await database.transaction((transaction) => keepObservations(transaction, fresh));
    }
    return facts.map((each) => (each.isOther ? each : { ...each, after: each.before }));
  }

  /** CAEP 1.0 §3.5: whoever relies on the device hears that it is, or is no more, compliant. */
  async #tellCompliance(before: DeviceFact, after: DeviceFact, source: string): Promise<void> {
    const nowMs = this.#options.now();
    const [was, is] = [before, after].map(({ posture }) => postureAt(posture, nowMs).compliant);
    if (was === is || is === 'unknown' || is === undefined) return;
    await this.#options.onCompliance({
      ...{ id: compactId(), type: 'device-compliance-change', subject: after.id, atMs: nowMs },
      ...{ initiatingEntity: 'system', compliance: is === 'true' ? 'compliant' : 'not-compliant' },
      reasonAdmin: `${source}: compliant is ${is}, was ${was}`,
    });
  }

  async sweep(): Promise<void> {
    await this.#silent.tell();
    const { register, settings, now } = this.#options;
    const seen = JSON.stringify(settings().posture);
    const isOther = this.#settingsSeen !== undefined && this.#settingsSeen !== seen;
    const isFirst = this.#settingsSeen === undefined;
    this.#settingsSeen = seen;
    const nowMs = now();
    const due = register
      .all()
      .map(({ id }) => id)
      // After a start the settings may be others than those that the facts were made by.
      .filter((id) => isOther || isFirst || hasEnded(register.fact(id), nowMs));
    for (let start = 0; start < due.length; start += DEVICES_A_CHANGE) {
      const some = due.slice(start, start + DEVICES_A_CHANGE);
      const facts = await this.#options.serial.run(() => this.#renew(some, []));
      for (const { before, after } of facts) await this.#tellCompliance(before, after, 'age');
    }
  }
}

function hasEnded(fact: DeviceFact | undefined, nowMs: number): boolean {
  if (fact === undefined) return false;
  const ends = [fact.score, ...Object.values(fact.posture)].flatMap((each) => each?.untilMs ?? []);
  return ends.some((untilMs) => untilMs <= nowMs);
}

function newObservations(
  { signals, score }: DeviceObservation,
  {
    device,
    source,
    nowMs,
  }: { readonly device: string; readonly source: PostureSource; readonly nowMs: number },
): { readonly observations: NewObservation[]; readonly ahead?: string } {
  let ahead: string | undefined;
  const observations: NewObservation[] = [];
  const add = (
    signal: PostureSignal | 'score',
    said: {
      readonly value: TriState | number;
      readonly observedAtMs: number;
      readonly assurance?: Assurance;
    },
  ): void => {
    if (said.observedAtMs > nowMs + AHEAD_MS_MAX) {
      ahead = `found ${signal} of ${new Date(said.observedAtMs).toISOString()}, which is to come`;
      return;
    }
    observations.push({
      ...{ device, signal, source: source.name, value: String(said.value) },
      observedAtMs: Math.min(said.observedAtMs, nowMs),
      assurance: weaker(said.assurance ?? source.assurance, source.assurance),
    });
  };
  for (const [signal, said] of Object.entries(signals)) add(signal as PostureSignal, said);
  if (score) add('score', score);
  return { observations, ...(ahead !== undefined && { ahead }) };
}

function weaker(a: Assurance, b: Assurance): Assurance {
  return ASSURANCES.indexOf(a) < ASSURANCES.indexOf(b) ? a : b;
}

/**
 * Whether it is later than what the source said last: reports come late and twice. At the same moment what is worse counts, so
 * that the order in which two of them come changes nothing.
 */
function isNews(each: NewObservation, kept: KeptPosture | undefined): boolean {
  const all =
    each.signal === 'score'
      ? kept?.scores
      : kept?.signals.filter(({ signal }) => signal === each.signal);
  const last = all?.find(({ source }) => source === each.source);
  return last === undefined || isLater(each, { ...last, value: String(last.value) });
}

function isLater(
  each: Pick<NewObservation, 'signal' | 'observedAtMs' | 'value'>,
  than: Pick<NewObservation, 'observedAtMs' | 'value'>,
): boolean {
  if (each.observedAtMs !== than.observedAtMs) return each.observedAtMs > than.observedAtMs;
  if (each.signal === 'score') return Number(each.value) < Number(than.value);
  return badness(each.value) > badness(than.value);
}

function badness(value: string): number {
  return ['true', 'unknown', 'false'].indexOf(value);
}

function withNews(kept: KeptPosture | undefined, news: readonly NewObservation[]): KeptPosture {
  const isOver = (signal: string, source: string): boolean =>
    news.some((each) => each.signal === signal && each.source === source);
  const signals = (kept?.signals ?? []).filter(({ signal, source }) => !isOver(signal, source));
  const scores = (kept?.scores ?? []).filter(({ source }) => !isOver('score', source));
  for (const { signal, source, value, observedAtMs, assurance } of news) {
    const common = { source, observedAtMs, assurance };
    if (signal === 'score') scores.push({ ...common, value: Number(value) });
    else signals.push({ ...common, signal, value: value as TriState });
  }
  return { signals, scores };
}

/** One report may tell of a device twice. */
function lastOfEach(news: readonly NewObservation[]): readonly NewObservation[] {
  const last = new Map<string, NewObservation>();
  for (const each of news) {
    const key = JSON.stringify([each.device, each.signal, each.source]);
    const other = last.get(key);
    if (other === undefined || isLater(each, other)) last.set(key, each);
  }
  return [...last.values()];
}
