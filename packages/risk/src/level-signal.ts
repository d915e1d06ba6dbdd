import { createHash } from 'node:crypto';
import type { RiskLevel, Signal } from '@countersign/model';
import type { Contribution, RiskScore } from './risk-engine.ts';
import { levelRank } from './score.ts';
import type { SubjectProfile } from './subject-profile.ts';

const REASON_LENGTH_MAX = 1000; // as Signal.reasonAdmin

interface LevelChange {
  readonly level: RiskLevel;
  readonly previous: RiskScore['level'];
  readonly score: number;
  readonly atMs: number;
  /** The event that tipped it; none when evidence faded by time alone. */
  readonly eventId: string | undefined;
}

/** The `risk-level-change` signal (CAEP 1.0 §3.8) of a subject whose level has just changed. */
export function levelSignal(profile: SubjectProfile, change: LevelChange): Signal {
  const { level, previous, score, atMs, eventId } = change;
  const contributions = profile.contributions(atMs);
  const isRise = levelRank(level) > levelRank(previous);
  // A session is named only as the one to act against.
  const session = isRise ? profile.offendingSession(atMs) : undefined;
  const feature = contributions[0]?.feature;
  return {
    id: signalId(profile, change),
    type: 'risk-level-change',
    subject: profile.subject,
    ...(session !== undefined && { session }),
    atMs,
    initiatingEntity: 'system',
    reasonAdmin: reason(change, contributions),
    level,
    ...(previous !== 'unknown' && { previousLevel: previous }),
    ...(feature !== undefined && { feature }),
    score,
    ...(eventId !== undefined && { because: [eventId] }),
  };
}

/** Derived, not random: an engine restored from an older snapshot raises the same signal again. */
function signalId(profile: SubjectProfile, { level, eventId }: LevelChange): string {
  const what = JSON.stringify([profile.subject, profile.changes, level, eventId ?? null]);
  return createHash('sha256').update(what).digest('base64url').slice(0, 22);
}

function reason(change: LevelChange, contributions: readonly Contribution[]): string {
  const { level, previous, score } = change;
  const nats = contributions.reduce((sum, contribution) => sum + contribution.nats, 0);
  const parts = contributions.map((c) => `${c.feature} +${c.nats.toFixed(1)}: ${c.text}`);
  if (parts.length === 0) parts.push('nothing unusual, and enough history to say so');
  const head = `risk ${previous} to ${level}, score ${score.toFixed(0)} of ${nats.toFixed(1)} nats`;
  return `${head}; ${parts.join('; ')}`.slice(0, REASON_LENGTH_MAX);
}
