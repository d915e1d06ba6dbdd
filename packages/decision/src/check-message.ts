import type { PolicyBundle } from '@countersign/policy';
import type { FactMessage } from '@countersign/state';
import type { Refusal } from './feed-line.ts';

/** How far the authority's clock may be ahead of ours. */
const AHEAD_MS_MAX = 60_000;

/** What a message is held against. */
export interface Standing {
  readonly trustDomain: string;
  readonly nowMs: number;
  /** Of the facts that are held. */
  readonly factSequence: number;
  /** The highest that were ever taken, which the facts held may have fallen behind of on disk. */
  readonly factSequenceMin: number;
  readonly asOfMsMin: number;
}

/** Why a verified fact message is not the next word of this authority, if it is not. */
export function checkFacts(message: FactMessage, standing: Standing): Refusal | undefined {
  const { kind, sequence, atMs, trustDomain } = message;
  if (trustDomain !== standing.trustDomain) return foreign(trustDomain, standing);
  const held = standing.factSequence;
  const next = kind === 'change' ? held + 1 : held;
  // A change that is held already is refused as a snapshot of less: either would undo what came after.
  const lowest = Math.max(next, standing.factSequenceMin);
  if (sequence < lowest) {
    const detail = `found ${kind} ${sequence}, expected ${lowest} or later`;
    return { refusal: 'sequence-older', detail };
  }
  if (kind !== 'snapshot' && sequence > next) {
    return { refusal: 'sequence-gap', detail: `found ${kind} ${sequence}, expected ${next}` };
  }
  if (atMs < standing.asOfMsMin) {
    const detail = `found ${kind} of ${atMs}, expected ${standing.asOfMsMin} or later`;
    return { refusal: 'time-older', detail };
  }
  return checkFuture(atMs, standing);
}

/** Why a verified bundle may not follow the last one that was taken. */
export function checkBundle(
  { trustDomain, sequence, version, createdAtMs }: PolicyBundle,
  last: { readonly bundleSequence: number; readonly bundleVersion: string },
  standing: Pick<Standing, 'trustDomain' | 'nowMs'>,
): Refusal | undefined {
  if (trustDomain !== standing.trustDomain) return foreign(trustDomain, standing);
  const isLast = sequence === last.bundleSequence && version === last.bundleVersion;
  if (sequence <= last.bundleSequence && !isLast) {
    const detail = `found bundle ${sequence} '${version}', expected one after ${last.bundleSequence} '${last.bundleVersion}'`;
    return { refusal: 'sequence-older', detail };
  }
  return checkFuture(createdAtMs, standing);
}

function checkFuture(atMs: number, { nowMs }: Pick<Standing, 'nowMs'>): Refusal | undefined {
  if (atMs <= nowMs + AHEAD_MS_MAX) return undefined;
  const detail = `found ${atMs}, expected ${nowMs + AHEAD_MS_MAX} or earlier`;
  return { refusal: 'time-future', detail };
}

function foreign(trustDomain: string, standing: Pick<Standing, 'trustDomain'>): Refusal {
  const detail = `found '${trustDomain.slice(0, 255)}', expected '${standing.trustDomain}'`;
  return { refusal: 'trust-domain-foreign', detail };
}
