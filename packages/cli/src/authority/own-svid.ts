import { generateKeyPairSync } from 'node:crypto';
import type { Server } from 'node:tls';
import type { HostNames, Identity } from '@countersign/identity';
import { renewServerTls, type ServerTls, type TlsIdentity } from '@countersign/spiffe';

/** The life of the authority's own SVID, which identity sets. */
const OWN_SVID_MS = 3_600_000;

/** The authority's own SVID, renewed at half of its life. */
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
  options: { readonly names: HostNames; readonly warn: (text: string) => void },
): Promise<OwnSvid> {
  const issue = async (): Promise<TlsIdentity> => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { chain } = await identity.issueOwnSvid(publicKey, options.names);
    return { chain, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  };
  let current = await issue();
  const renewals: (() => void)[] = [];
  const timer = setInterval(() => {
    issue().then(
      (renewed) => {
        current = renewed;
        for (const renew of renewals) renew();
      },
      (error: Error) => options.warn(`cannot renew the authority's own SVID: ${error.message}`),
    );
  }, OWN_SVID_MS / 2);
  timer.unref();
  return {
    current: () => current,
    keepFresh: (server, tls) => void renewals.push(() => renewServerTls(server, tls)),
    onRenewed: (renew) => void renewals.push(renew),
    close: () => clearInterval(timer),
  };
}
