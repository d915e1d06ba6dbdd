import type { FactView } from '@countersign/decision';
import { type Fact, factKey } from '@countersign/model';
import { certificateNames } from '@countersign/spiffe';
import { subjectOfPeer } from '../authenticate/peer-subject.ts';
import { checkSubject } from '../authenticate/standing.ts';
import type { OpenConnection } from '../carrier/node-http/listener.ts';
import type { PeerVerifier } from '../carrier/node-http/peer-verifier.ts';
import type { PointContext } from '../point-context.ts';
import type { Channel, ChannelFault } from './channel-registry.ts';

/**
 * Registers a connection: it ends with its certificate, with the one of the bank's own that it was shown, and when its own or its
 * subject is revoked.
 * Where every surface is in shadow nothing is ended.
 *
 * @returns to be called when the connection is gone
 */
export function openConnectionChannel(
  { connection, chain, ownNotAfterMs, close }: OpenConnection,
  verifier: PeerVerifier,
  context: PointContext,
): () => void {
  const { peer } = connection;
  const known = peer.kind === 'svid' || peer.kind === 'partner' ? peer : undefined;
  const isObeying = () => context.routes(connection.listener).isEnforcing;

  const isEdge = context.authentication.edgeListeners.has(connection.listener);
  const subjectNow = (facts: FactView) =>
    peer.kind === 'svid'
      ? subjectOfPeer(peer.id, context.authentication.trustDomain, facts)
      : known && facts.subjectOfCertificate(known.thumbprint);
  const openedFor = subjectNow(context.point().facts);
  // A partner's authorities are this listener's own, and nobody takes them back.
  const issuers = peer.kind === 'svid' ? chain.slice(1).map(certificateNames) : [];
  let verifiedBy = peer.kind === 'svid' ? bundleOf(peer.id, context) : undefined;

  const channel: Channel = {
    kind: 'connection',
    connection,
    ...(peer.kind === 'svid' && { caller: peer.id }),
    ...(known && { certificate: known.thumbprint }),
    recheck(nowMs): ChannelFault | undefined {
      if (!known || !isObeying()) return undefined;
      const { facts } = context.point();
      if (facts.revocation('certificate', known.names, nowMs)) {
        return { cause: 'revoked', detail: 'the certificate is revoked' };
      }
      // Of an upstream's root, which stays: the bundle may be the same as before.
      if (issuers.some((names) => facts.revocation('certificate', names, nowMs))) {
        return {
          cause: 'revoked',
          detail: 'the authority that issued its certificate is taken back',
        };
      }
      const subject = subjectNow(facts);
      // At the edge the token says who calls: an SVID that a client of another trust domain shows may be nobody's here.
      const isNobody = subject === undefined && !isEdge;
      // Registered for nobody, or for somebody else than before, it has nothing to be connected for.
      if (known.kind === 'svid' && (isNobody || subject !== openedFor)) {
        return { cause: 'revoked', detail: `'${known.id}' is not registered for its subject` };
      }
      const fault = subject && checkSubject(subject, 'peer-unregistered', facts, nowMs);
      if (fault) return { cause: 'revoked', detail: fault.detail };
      if (known.kind !== 'svid') return undefined;
      // The authority that vouched for it may be withdrawn; looked at only when the bundle moved.
      const bundle = bundleOf(known.id, context);
      if (bundle === verifiedBy) return undefined;
      verifiedBy = bundle;
      return verifier.again(chain).kind === 'svid'
        ? undefined
        : { cause: 'revoked', detail: 'its certificate does not verify any more' };
    },
    sweep(nowMs) {
      if (ownNotAfterMs !== undefined && nowMs > ownNotAfterMs && isObeying()) {
        return {
          cause: 'expired',
          detail: "this listener's certificate that it began with has ended",
        };
      }
      return known && nowMs >= known.notAfterMs && isObeying()
        ? { cause: 'expired', detail: 'its certificate has ended' }
        : undefined;
    },
    close(cause, detail) {
      // What goes over it ends for the same cause, and says so in its own closure.
      context.channels.closeWhere(
        (other) => other.kind !== 'connection' && other.connection === connection,
        cause,
        detail,
      );
      close();
    },
  };
  context.channels.add(channel);
  return () => context.channels.remove(channel);
}

/** The fact that holds the bundle of an SVID's trust domain. */
function bundleOf(spiffeId: string, context: PointContext): Fact | undefined {
  const trustDomain = spiffeId.split('/')[2] ?? '';
  const key = factKey({ kind: 'trust-bundle', trustDomain, x509Authorities: [] });
  return context.point().facts.get(key);
}
