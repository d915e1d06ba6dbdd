import type { SubjectKind } from '@countersign/model';
import type { FeatureProfile, RiskFeature } from './feature.ts';
import type { Observation } from './observation.ts';
import type { Contribution, RiskScore } from './risk-engine.ts';

/** A {@link SubjectProfile} in a snapshot. */
export interface SubjectRow {
  readonly subject: string;
  readonly level: RiskScore['level'];
  readonly changes: number;
  /** Per feature, by name. */
  readonly features: Readonly<Record<string, unknown>>;
}

/** All that the engine knows of one subject: its level and what each feature knows of it. */
export class SubjectProfile {
  readonly subject: string;
  readonly #features: readonly RiskFeature[];
  readonly #profiles: readonly FeatureProfile[];
  #level: RiskScore['level'] = 'unknown';
  #changes = 0;

  private constructor(
    subject: string,
    features: readonly RiskFeature[],
    profiles: readonly FeatureProfile[],
  ) {
    this.subject = subject;
    this.#features = features;
    this.#profiles = profiles;
  }

  static start(subject: string, kind: SubjectKind, features: readonly RiskFeature[]) {
    const profiles = features.map((feature) => feature.start(kind));
    return new SubjectProfile(subject, features, profiles);
  }

  /** As last told to the world by a signal. */
  get level(): RiskScore['level'] {
    return this.#level;
  }

  get isElevated(): boolean {
    return this.#level === 'MEDIUM' || this.#level === 'HIGH';
  }

  /** How often the level changed: part of the signals' ids. */
  get changes(): number {
    return this.#changes;
  }

  /** One feature with enough history suffices: the others say nothing rather than something good. */
  get hasHistory(): boolean {
    return this.#profiles.some((profile) => profile.hasHistory);
  }

  observe(observation: Observation): void {
    const total = this.nats(observation.atMs);
    for (const profile of this.#profiles) {
      profile.observe(observation, Math.max(0, total - profile.nats(observation.atMs)));
    }
  }

  changeLevel(level: RiskScore['level']): void {
    this.#level = level;
    this.#changes++;
  }

  nats(atMs: number): number {
    let sum = 0;
    for (const profile of this.#profiles) sum += profile.nats(atMs);
    return sum;
  }

  contributions(atMs: number): readonly Contribution[] {
    return this.#profiles
      .flatMap((profile) => profile.contributions(atMs))
      .sort((a, b) => b.nats - a.nats);
  }

  /** The session that the feature with most evidence points at. */
  offendingSession(atMs: number): string | undefined {
    let strongest: FeatureProfile | undefined;
    for (const profile of this.#profiles) {
      if (!strongest || profile.nats(atMs) > strongest.nats(atMs)) strongest = profile;
    }
    return strongest?.offendingSession();
  }

  relearn(): void {
    for (const profile of this.#profiles) profile.relearn();
    this.changeLevel('unknown');
  }

  dump(): SubjectRow {
    const features = Object.fromEntries(
      this.#features.map((feature, i) => [feature.name, this.#profiles[i]?.dump()]),
    );
    return { subject: this.subject, level: this.#level, changes: this.#changes, features };
  }

  /** A feature that the snapshot does not know starts empty. */
  static restore(row: SubjectRow, kind: SubjectKind, features: readonly RiskFeature[]) {
    const profiles = features.map((feature) => {
      const dumped = row.features[feature.name];
      return dumped === undefined ? feature.start(kind) : feature.restore(kind, dumped);
    });
    const profile = new SubjectProfile(row.subject, features, profiles);
    profile.#level = row.level;
    profile.#changes = row.changes;
    return profile;
  }
}
