import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { CHAIN_LENGTH_MAX } from '../certificate/verify-path.ts';

/**
 * The certificates that the other end showed: DER, leaf first, at most 8; none when there is none.
 *
 * OpenSSL puts them in order and may append an authority that was configured locally; both are harmless, because
 * verification takes nothing in the chain for granted.
 */
export function peerChain(socket: Pick<TLSSocket, 'getPeerCertificate'>): Uint8Array[] {
  // Absent: null after the socket was destroyed, an object without `raw` when no certificate was shown.
  return chainOf(socket.getPeerCertificate(true) as DetailedPeerCertificate | null);
}

/** The chain of a certificate as Node gives it; a self-issued one is its own issuer. */
export function chainOf(leaf: DetailedPeerCertificate | null | undefined): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<string>();
  let certificate: DetailedPeerCertificate | null | undefined = leaf;
  while (certificate?.raw && chain.length < CHAIN_LENGTH_MAX) {
    if (seen.has(certificate.fingerprint512)) break;
    seen.add(certificate.fingerprint512);
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
