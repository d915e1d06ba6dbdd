import { generateKeyPairSync } from 'node:crypto';
import type { Server } from 'node:tls';
import {
  parseSpiffeId,
  renewServerTls,
  type ServerTls,
  type TlsIdentity,
  type X509Authority,
} from '@countersign/spiffe';

const TTL_SECONDS = 3600;

/** The authority's own SVID, issued by itself and renewed at half of its life. */
export interface OwnSvid {
  readonly spiffeId: string;
  current(): TlsIdentity;
  /** Puts each renewed SVID before the server's new connections. */
  keepFresh(server: Server, tls: ServerTls): void;
  close(): void;
}

/** Issues the first SVID and starts to renew it. */
export async function openOwnSvid(
  x509: X509Authority,
  { host, warn }: { host: string; warn: (text: string) => void },
): Promise<OwnSvid> {
  const spiffeId = `spiffe://${x509.trustDomain}/workload/countersign/authority`;
  const isIp = /^[\d.]+$|:/.test(host);
  const issue = async (): Promise<TlsIdentity> => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const svid = await x509.issueSvid({
      spiffeId: parseSpiffeId(spiffeId),
      publicKey,
      ttlSeconds: TTL_SECONDS,
      // OAuth clients know the issuer by its host name, not by SPIFFE ID.
      dnsNames: isIp ? ['localhost'] : ['localhost', host],
      ipAddresses: isIp ? [host] : ['127.0.0.1'],
    });
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    return { chain: svid.chain, keyPem };
  };
  let current = await issue();
  const servers: (() => void)[] = [];
  const timer = setInterval(
    () => {
      issue().then(
        (renewed) => {
          current = renewed;
          for (const renew of servers) renew();
        },
        (error) => warn(`cannot renew the authority's own SVID: ${error.message}`),
      );
    },
    (TTL_SECONDS * 1000) / 2,
  );
  timer.unref();
  return {
    spiffeId,
    current: () => current,
    keepFresh: (server, tls) => void servers.push(() => renewServerTls(server, tls)),
    close: () => clearInterval(timer),
  };
}
