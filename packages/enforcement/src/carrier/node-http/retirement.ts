import type { ConnectionPeer } from '../../peer.ts';

/**
 * When a connection that stands now is to take its last request, in ms since the epoch: when between a third and two thirds of
 * what the certificates of its two ends had left are over. After that it closes with its next answer (RFC 9112 §9.6), well
 * before it would be cut, so that no request is cut with it; and those that were opened together do not all come back together.
 *
 * @param options.random from 0 to below 1
 */
export function retirementOf(
  peer: ConnectionPeer,
  options: {
    /** The certificate that we showed. */
    readonly own: { readonly notAfterMs: number };
    readonly nowMs: number;
    readonly random: number;
  },
): number {
  const { own, nowMs, random } = options;
  const peerMs = 'notAfterMs' in peer ? peer.notAfterMs : Number.POSITIVE_INFINITY;
  const endMs = Math.min(peerMs, own.notAfterMs);
  return nowMs + (endMs - nowMs) * ((1 + random) / 3);
}
