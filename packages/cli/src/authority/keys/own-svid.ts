import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { Server } from 'node:tls';
import type { HostNames, Identity } from '@countersign/identity';
import {
  certificateNames,
  renewServerTls,
  type ServerTls,
  type TlsIdentity,
  verifyX509Svid,
} from '@countersign/spiffe';

const LOOK_EVERY_MS = 1000;

/** The authority's own SVID, renewed at half of its life, and at once when its issuer is in no bundle any more. */
export interface OwnSvid {
  current(): TlsIdentity;
  /** Puts each renewed SVID before the server's new connections. */
  keepFresh(server: Server, tls: ServerTls): void;
  /** Calls back after each renewal. */
  onRenewed(renew: () => void): void;
  close(): void;
}

/** Issues the first SVID and renews it until closed; a renewal that fails is warned of and tried again. */
export async function openOwnSvid(
  identity: Identity,
  options: {
    readonly names: HostNames;
    readonly now: () => number;
    readonly warn: (text: string) => void;
  },
): Promise<OwnSvid> {
  const { now } = options;
  const issue = async (): Promise<TlsIdentity> => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { chain } = await identity.issueOwnSvid(publicKey, options.names);
    return { chain, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  };
  let current = await issue();
  let notBeforeMs = now();
  const renewals: (() => void)[] = [];
  let isRenewing = false;
  const renew = (): void => {
    if (isRenewing) return;
    isRenewing = true;
    issue()
      .then(
        (renewed) => {
          current = renewed;
          notBeforeMs = now();
          for (const each of renewals) each();
        },
        (error: Error) => options.warn(`cannot renew the authority's own SVID: ${error.message}`),
      )
      .finally(() => {
        isRenewing = false;
      });
  };
  const lifeMs = (): number => endOf(current) - notBeforeMs;
  const timer = setInterval(() => {
    // The authority that issued it may end sooner than it would.
    if (now() - notBeforeMs >= lifeMs() / 2) renew();
  }, LOOK_EVERY_MS);
  timer.unref();
  const off = identity.onChange(() => {
    if (!isVouchedFor(current, identity)) renew();
  });
  return {
    current: () => current,
    keepFresh: (server, tls) => void renewals.push(() => renewServerTls(server, tls)),
    onRenewed: (renew) => void renewals.push(renew),
    close() {
      off();
      clearInterval(timer);
    },
  };
}

function endOf({ chain: [leaf] }: TlsIdentity): number {
  return leaf ? new X509Certificate(leaf).validToDate.getTime() : 0;
}

/** Whether an authority of the bundle, or what is signed by its upstream's root, issued it. */
function isVouchedFor({ chain }: TlsIdentity, identity: Identity): boolean {
  const trustDomain = identity.trustAnchors.trustDomain;
  const authorities = identity.bundle().x509Authorities.map((der) => Buffer.from(der, 'base64'));
  const isTainted = chain
    .slice(1)
    .some((der) => identity.isRevoked('certificate', certificateNames(der)));
  try {
    const now = (): number => new X509Certificate(chain[0] ?? '').validFromDate.getTime();
    verifyX509Svid(chain, { bundles: new Map([[trustDomain, authorities]]), now });
    return !isTainted;
  } catch {
    return false;
  }
}
