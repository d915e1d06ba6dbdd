import {
  FACTS_TYPE,
  type FactMessage,
  type FeedFollower,
  followFeed,
  StateError,
  type TrustAnchors,
  verifyStatement,
} from '@countersign/state';
import type { Dispatcher } from 'undici';

/** Of fifteen digits, as a sequence in the feed's query has at most. */
const ALL_BUNDLES = 999_999_999_999_999;

/**
 * Holds the authority's feed open, so that the authority knows who is there, and listens to its beats, which tell the authority's
 * time. Facts come from the database, and are not taken from here.
 */
export function followBeats(options: {
  readonly anchors: Pick<TrustAnchors, 'factKeys'>;
  /** The authority's control listener. */
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  /** The last fact change that is known: those before are not sent. */
  readonly sequence: () => number;
  /** Told the time of each beat. */
  readonly onBeat: (atMs: number) => void;
  readonly onState: (state: 'connected' | 'disconnected', detail: string) => void;
}): FeedFollower {
  const { anchors, origin, dispatcher, sequence, onBeat, onState } = options;
  return followFeed({
    ...{ origin, dispatcher, onState },
    cursor: () => ({ factSequence: sequence(), bundleSequence: ALL_BUNDLES }),
    async accept(line) {
      const { facts } = JSON.parse(line) as { facts?: string };
      if (facts === undefined) return { taken: true };
      try {
        const said = verifyStatement(facts, { type: FACTS_TYPE, keys: anchors.factKeys });
        const { kind, atMs } = said as FactMessage;
        if (kind === 'beat') onBeat(atMs);
        return { taken: true };
      } catch (error) {
        if (!(error instanceof StateError)) throw error;
        return { taken: false, refusal: error.code, detail: error.message };
      }
    },
  });
}
