import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createX509Authority,
  encodePem,
  softwareSigner,
  type UpstreamAuthority,
  type UpstreamMinted,
  verifyX509Svid,
} from '@countersign/spiffe';
import { expect } from 'vitest';
import { API, hasOpenssl, openssl, p256, TRUST_DOMAIN } from './support.ts';

/**
 * Has an authority signed by an upstream, issues an SVID with it, and has both this room and OpenSSL verify the SVID
 * against the upstream's roots.
 */
export async function mintAndUse(
  upstream: UpstreamAuthority,
  { trustDomain = TRUST_DOMAIN, ttlSeconds = 3600, now = Date.now } = {},
): Promise<UpstreamMinted & { readonly notAfterMs: number }> {
  const signer = softwareSigner(p256());
  const minted = await upstream.mintX509Authority({ trustDomain, signer, ttlSeconds });
  const [certificate, ...intermediates] = minted.chain;
  const authority = await createX509Authority({
    trustDomain,
    signer,
    certificate: certificate as Uint8Array,
    intermediates,
    now,
  });
  const spiffeId = { ...API, trustDomain, uri: `spiffe://${trustDomain}${API.path}` };
  const { publicKey } = p256();
  const svid = await authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 60 });
  const bundles = new Map([[trustDomain, minted.x509Roots]]);
  expect(verifyX509Svid(svid.chain, { bundles, now }).spiffeId.uri).toBe(spiffeId.uri);
  if (hasOpenssl) {
    const folder = mkdtempSync(join(tmpdir(), 'minted-'));
    const [leaf, ...above] = svid.chain;
    writeFileSync(join(folder, 'roots.pem'), encodePem(minted.x509Roots));
    writeFileSync(join(folder, 'above.pem'), encodePem(above));
    writeFileSync(join(folder, 'leaf.pem'), encodePem([leaf as Uint8Array]));
    const files = ['-CAfile', join(folder, 'roots.pem'), '-untrusted', join(folder, 'above.pem')];
    // Where the real root is offline, the topmost certificate that is known is what is trusted.
    openssl(['verify', '-x509_strict', '-partial_chain', ...files, join(folder, 'leaf.pem')]);
    rmSync(folder, { recursive: true });
  }
  return { ...minted, notAfterMs: authority.notAfterMs };
}
