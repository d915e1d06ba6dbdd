import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Identity } from '@countersign/identity';
import {
  type CertificateNames,
  certificateNames,
  peerChain,
  type VerifiedPeer,
  verifyX509Svid,
} from '@countersign/spiffe';

/** The verified SPIFFE ID at the other end of a connection, if it showed a good SVID. */
export interface ControlPeer {
  readonly spiffeId: string;
  readonly thumbprint: string;
  /** What revocations are asked for. */
  readonly names: CertificateNames;
}

/** One that may be good for its own renewal only. */
export interface RenewingPeer extends ControlPeer {
  readonly isTainted?: boolean;
  /** The authority that issued it was not only tainted but revoked. */
  readonly isForgotten?: boolean;
}

/** Who is at the other end of connections. */
export interface ControlPeers {
  /** By an SVID that is good now; it is looked at again when the bundle is another. */
  of(socket: Socket): ControlPeer | undefined;
  /** Also by one whose authority is tainted: for its own renewal, and to hear of the bundle. */
  renewing(socket: Socket): RenewingPeer | undefined;
}

interface Seen {
  readonly peer: VerifiedPeer | undefined;
  /** Verified by an authority that is in no bundle any more. */
  readonly isTainted: boolean;
  /** What stands between it and the authority of the bundle. */
  readonly issuers: readonly CertificateNames[];
}

const NOBODY: Seen = { peer: undefined, isTainted: false, issuers: [] };

/** Reads who is at the other end, once per connection and bundle. */
export function controlPeers(options: {
  readonly trustDomain: string;
  readonly identity: Pick<Identity, 'bundle' | 'taintedAuthorities' | 'isRevoked'>;
  readonly now: () => number;
}): ControlPeers {
  const { trustDomain, identity, now } = options;
  let decoded: { readonly bundle: object; readonly authorities: readonly Uint8Array[] } | undefined;
  let known = new WeakMap<Socket, Seen>();

  /** The authorities of now; who was seen under others is looked at again. */
  const authorities = (): readonly Uint8Array[] => {
    const bundle = identity.bundle();
    if (decoded?.bundle !== bundle) {
      const ders = bundle.x509Authorities.map((text) => Buffer.from(text, 'base64'));
      decoded = { bundle, authorities: ders };
      known = new WeakMap();
    }
    return decoded.authorities;
  };

  const verified = (chain: readonly Uint8Array[], by: readonly Uint8Array[]) => {
    try {
      return verifyX509Svid(chain, { bundles: new Map([[trustDomain, by]]), now });
    } catch {
      return undefined;
    }
  };

  const judge = (socket: Socket, by: readonly Uint8Array[]): Seen => {
    const chain = chainOf(socket);
    if (chain.length === 0) return NOBODY;
    const issuers = chain.slice(1).map(certificateNames);
    const good = verified(chain, by);
    if (good) return { peer: good, isTainted: false, issuers };
    const tainted = identity.taintedAuthorities();
    const peer = tainted.length > 0 ? verified(chain, tainted) : undefined;
    return peer ? { peer, isTainted: true, issuers } : NOBODY;
  };

  const look = (socket: Socket): Seen => {
    const by = authorities();
    const seen = known.get(socket) ?? judge(socket, by);
    known.set(socket, seen);
    return seen;
  };

  const renewing: ControlPeers['renewing'] = (socket) => {
    const { peer, isTainted, issuers } = look(socket);
    if (peer === undefined || peer.notAfterMs <= now()) return undefined;
    const { thumbprint, names } = peer;
    const found = { spiffeId: peer.spiffeId.uri, thumbprint, names };
    // Under an upstream its root stays in the bundle, and the authority that is tainted is refused by name.
    if (isTainted) return { ...found, isTainted };
    const isRefused = issuers.some((issuer) => identity.isRevoked('certificate', issuer));
    if (!isRefused) return found;
    const isKept = identity
      .taintedAuthorities()
      .some((der) => issuers.some((issuer) => issuer.includes(certificateNames(der)[0])));
    return { ...found, isTainted: true, ...(!isKept && { isForgotten: true }) };
  };

  return {
    renewing,
    of(socket) {
      const peer = renewing(socket);
      return peer?.isTainted ? undefined : peer;
    },
  };
}

function chainOf(socket: Socket): readonly Uint8Array[] {
  try {
    return peerChain(socket as TLSSocket);
  } catch {
    return [];
  }
}
