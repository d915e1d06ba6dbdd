import type { TLSSocket } from 'node:tls';
import type { FactView } from '@countersign/decision';
import { factKey } from '@countersign/model';
import {
  type BundleSource,
  certificateNames,
  peerChain,
  SpiffeError,
  type SpiffeErrorCode,
  verifyClientCertificate,
  verifyX509Svid,
} from '@countersign/spiffe';
import type { ConnectionPeer } from '../../peer.ts';

/** Looks at the certificate at the other end of a connection. */
export interface PeerVerifier {
  /** Once, after the handshake. */
  verify(socket: TLSSocket): {
    readonly peer: ConnectionPeer;
    readonly chain: readonly Uint8Array[];
  };
  /** Again, when the authorities may have changed. */
  again(chain: readonly Uint8Array[]): ConnectionPeer;
}

/**
 * A verifier for one listener. With `clientAuthorities` a certificate of theirs is a partner's and never an
 * SVID, whatever it claims; every other must be an SVID of a trust domain whose bundle we have.
 */
export function createPeerVerifier(options: {
  readonly clientAuthorities: readonly Uint8Array[];
  readonly facts: () => FactView;
  readonly now: () => number;
}): PeerVerifier {
  const { clientAuthorities, facts, now } = options;
  const bundles = bundlesOf(facts);

  /** At the edge partners come, and workloads of ours with access tokens. */
  function edgePeer(chain: readonly Uint8Array[], leaf: Uint8Array): ConnectionPeer {
    try {
      const { thumbprint, names, notAfterMs } = verifyClientCertificate(chain, {
        authorities: clientAuthorities,
        now,
      });
      return { kind: 'partner', thumbprint, names, notAfterMs, leaf };
    } catch (error) {
      if (codeOf(error) !== 'ERR_SPIFFE_UNTRUSTED') throw error;
      try {
        return svidPeer(chain, leaf);
      } catch (svidError) {
        // Of what is nobody's, that no partner's authority made it says enough.
        throw codeOf(svidError) === 'ERR_SPIFFE_EXPIRED' ? svidError : error;
      }
    }
  }

  function svidPeer(chain: readonly Uint8Array[], leaf: Uint8Array): ConnectionPeer {
    const { spiffeId, thumbprint, names, notAfterMs } = verifyX509Svid(chain, { bundles, now });
    // An authority that an upstream signed and that is tainted: the upstream's root is in the bundle still.
    const isRefused = chain
      .slice(1)
      .some((der) => facts().revocation('certificate', certificateNames(der), now()));
    if (isRefused) {
      const detail = 'ERR_SPIFFE_UNTRUSTED the authority that issued it is taken back';
      return { kind: 'invalid', reason: 'certificate-invalid', detail };
    }
    return { kind: 'svid', id: spiffeId.uri, thumbprint, names, notAfterMs, leaf };
  }

  function peerOf(chain: readonly Uint8Array[]): ConnectionPeer {
    const [leaf] = chain;
    if (leaf === undefined) return { kind: 'none' };
    try {
      return clientAuthorities.length > 0 ? edgePeer(chain, leaf) : svidPeer(chain, leaf);
    } catch (error) {
      // What is no refusal of spiffe's is a fault of ours, and proves nobody's identity either.
      const code = codeOf(error) ?? 'ERR_SPIFFE_UNTRUSTED';
      const detail = error instanceof Error ? error.message : 'could not verify';
      return {
        kind: 'invalid',
        reason: code === 'ERR_SPIFFE_EXPIRED' ? 'certificate-expired' : 'certificate-invalid',
        detail: `${code} ${detail}`.slice(0, 500),
      };
    }
  }

  return {
    verify(socket) {
      const chain = peerChain(socket);
      return { peer: peerOf(chain), chain };
    },
    again: peerOf,
  };
}

function codeOf(error: unknown): SpiffeErrorCode | undefined {
  return error instanceof SpiffeError ? error.code : undefined;
}

/** The bundles that the authority vouches for, decoded once per fact. */
function bundlesOf(facts: () => FactView): BundleSource {
  const decoded = new WeakMap<object, readonly Uint8Array[]>();
  return {
    get(trustDomain) {
      const key = factKey({ kind: 'trust-bundle', trustDomain, x509Authorities: [] });
      const fact = facts().get(key);
      if (fact?.kind !== 'trust-bundle') return undefined;
      let authorities = decoded.get(fact);
      if (!authorities) {
        authorities = fact.x509Authorities.map((der) => Buffer.from(der, 'base64'));
        decoded.set(fact, authorities);
      }
      return authorities;
    },
  };
}
