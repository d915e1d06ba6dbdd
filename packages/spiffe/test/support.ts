import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  createX509Authority,
  parseSpiffeId,
  softwareSigner,
  type TlsIdentity,
  type X509Authority,
  type X509AuthorityOptions,
} from '@countersign/spiffe';

export const TRUST_DOMAIN = 'bank.example';
export const API = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/workload/payments/api`);
export const LEDGER = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/workload/ledger/api`);

export function p256(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

export function newAuthority(options: Partial<X509AuthorityOptions> = {}): Promise<X509Authority> {
  return createX509Authority({
    trustDomain: TRUST_DOMAIN,
    signer: softwareSigner(p256()),
    now: Date.now,
    ...options,
  });
}

export async function newIdentity(
  authority: X509Authority,
  spiffeId = API,
  ttlSeconds = 3600,
): Promise<TlsIdentity> {
  const keys = p256();
  const { chain } = await authority.issueSvid({ spiffeId, publicKey: keys.publicKey, ttlSeconds });
  return { chain, keyPem: pem(keys.privateKey) };
}

export function pem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}

export const OPENSSL = 'openssl';

/** Whether `openssl` is there; tests that need it skip, and their names say so. */
export const hasOpenssl = spawnSync(OPENSSL, ['version']).status === 0;
if (!hasOpenssl) console.log('skipping comparisons with openssl: it is not installed');

export function openssl(args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync(OPENSSL, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  return stdout;
}
