import type { SubjectKind } from '@countersign/model';
import type { Observation } from './observation.ts';
import type { Contribution, EvidenceFamily } from './risk-engine.ts';

/**
 * One way of looking at behaviour. It owns what it has learned of each peer group (a kind of
 * subject) and makes the profile of each subject. To add a family of evidence, write one of these
 * and add it to the engine's list.
 */
export interface RiskFeature {
  /** As in signals and playbooks, such as `bulk-reading`. */
  readonly name: string;
  /** Evidence of one family adds up; families combine by noisy-or and never cancel each other. */
  readonly family: EvidenceFamily;
  /** The profile of a subject never seen before. */
  start(kind: SubjectKind): FeatureProfile;
  /** The profile that {@link FeatureProfile.dump} wrote. Throws when it cannot be one. */
  restore(kind: SubjectKind, dumped: unknown): FeatureProfile;
  /** What was learned of the peer groups, as JSON. */
  dumpPeers(): unknown;
  /** Takes back what {@link RiskFeature.dumpPeers} wrote. Throws when it cannot be that. */
  restorePeers(dumped: unknown): void;
}

/** What one feature knows of one subject. Bounded: its size does not grow with what it observes. */
export interface FeatureProfile {
  /** Whether the subject's own history suffices to say what is usual. */
  readonly hasHistory: boolean;
  /**
   * Takes one observation.
   *
   * @param otherNats the evidence of all other features: behaviour that is suspicious for another
   *   reason must not teach this one what is normal
   */
  observe(observation: Observation, otherNats: number): void;
  /** Evidence in nats at a time, never negative; the sum of {@link FeatureProfile.contributions}. */
  nats(atMs: number): number;
  contributions(atMs: number): readonly Contribution[];
  /** The session that weighs most in what was observed lately. */
  offendingSession(): string | undefined;
  /** Forgets what is usual; the next warm-up is not bounded by the peers. */
  relearn(): void;
  /** As JSON. */
  dump(): unknown;
}
