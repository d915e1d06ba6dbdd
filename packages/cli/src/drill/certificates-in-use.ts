import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { keyIdsOf } from './key-ids.ts';

/** A certificate on an open connection. */
interface InUse {
  readonly spiffeId: string;
  readonly serial: string;
  readonly notAfterMs: number;
  readonly authority: string;
}

/** What is in use at one moment. */
export interface CertificateSample {
  readonly open: number;
  /** Of the certificate that ends first among those in use; absent when nothing is open. */
  readonly oldest?: { readonly spiffeId: string; readonly leftSeconds: number };
  /** Connections that stand on a certificate, of either side, that is over. */
  readonly expired: number;
}

/** The certificates of both sides of all open connections of this process. */
export interface CertificatesInUse {
  readonly opened: number;
  readonly closed: number;
  /** What was found on an expired certificate in any sample, one line each; at most a hundred. */
  readonly expired: readonly string[];
  hold(socket: TLSSocket): void;
  /** Resolves in the next turns of the event loop. */
  sample(now: () => number): Promise<CertificateSample>;
  /** Open connections of which a side shows a certificate that another authority than this one issued. */
  notOf(authority: string): number;
}

const EXPIRED_TOLD_MAX = 100;
const TURN_MS = 20;

/** Nothing is open yet. */
export function createCertificatesInUse(): CertificatesInUse {
  const held = new Map<TLSSocket, readonly InUse[]>();
  const expired: string[] = [];
  let opened = 0;
  let closed = 0;
  return {
    get opened() {
      return opened;
    },
    get closed() {
      return closed;
    },
    expired,
    hold(socket) {
      // Not by `getPeerX509Certificate`: on a client, that takes the certificate away from every later question (Node 24.21),
      // and a connection that shows none is ended when the bundle changes.
      const raw = socket.getPeerCertificate(true)?.raw;
      if (raw === undefined || socket.destroyed) return;
      const both = [socket.getX509Certificate(), new X509Certificate(raw)];
      held.set(
        socket,
        both.flatMap((certificate) => (certificate ? [inUse(certificate)] : [])),
      );
      opened += 1;
      socket.once('close', () => {
        held.delete(socket);
        closed += 1;
      });
    },
    async sample(now) {
      const over = endedIn(held, now());
      // Whoever ends them has its turn first: after a pause of the whole process all timers are late, this one like that one.
      if (over.length > 0) await sleep(TURN_MS);
      const still = over.filter(([socket]) => held.has(socket) && !socket.destroyed);
      for (const [, { spiffeId, serial, notAfterMs }] of still) {
        if (expired.length === EXPIRED_TOLD_MAX) break;
        expired.push(`${spiffeId} ${serial}: open ${now() - notAfterMs} ms after its end`);
      }
      const oldest = [...held.values()]
        .flat()
        .reduce<InUse | undefined>(
          (first, each) => (first && first.notAfterMs <= each.notAfterMs ? first : each),
          undefined,
        );
      return {
        open: held.size,
        expired: still.length,
        ...(oldest && {
          oldest: {
            spiffeId: oldest.spiffeId,
            leftSeconds: Math.floor((oldest.notAfterMs - now()) / 1000),
          },
        }),
      };
    },
    notOf: (authority) =>
      [...held.values()].filter((certificates) =>
        certificates.some((each) => each.authority !== authority),
      ).length,
  };
}

/** Connections of which a certificate is over, each with that one. */
function endedIn(
  held: ReadonlyMap<TLSSocket, readonly InUse[]>,
  nowMs: number,
): readonly (readonly [TLSSocket, InUse])[] {
  return [...held].flatMap(([socket, certificates]) => {
    const ended = certificates.find(({ notAfterMs }) => nowMs > notAfterMs);
    return ended ? [[socket, ended] as const] : [];
  });
}

function inUse(certificate: X509Certificate): InUse {
  return {
    spiffeId: (certificate.subjectAltName ?? '').replace(/^URI:/, '').split(', ')[0] ?? '',
    serial: certificate.serialNumber.toLowerCase(),
    notAfterMs: certificate.validToDate.getTime(),
    authority: keyIdsOf(certificate.raw).authority,
  };
}
