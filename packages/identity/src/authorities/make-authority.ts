import { generateKeyPairSync } from 'node:crypto';
import {
  createJwtIssuer,
  createX509Authority,
  parseSpiffeId,
  SpiffeError,
  type UpstreamAuthority,
  verifyX509Svid,
  type X509Authority,
} from '@countersign/spiffe';
import type { AuthorityKey, AuthorityKeys } from './authority-keys.ts';
import { publicJwk, type StoredAuthority } from './authority-rows.ts';
import type { AuthorityKind } from './slot.ts';
import { makeTokenAuthority } from './token-authority.ts';

/** What an authority is made of. */
export interface AuthorityOptions {
  readonly trustDomain: string;
  readonly lifetimeSeconds: number;
  /** Where its key is made. */
  readonly keys: AuthorityKeys;
  /** Who signs it; it is its own root without one. */
  readonly upstream: UpstreamAuthority | undefined;
  readonly now: () => number;
}

/** How long an upstream may take. */
const UPSTREAM_MS_MAX = 30_000;

/**
 * Makes a key and what goes with it; it is in no bundle yet.
 *
 * @throws {SpiffeError} what the upstream throws, or `ERR_SPIFFE_UPSTREAM_REFUSED` when what it signed cannot be used
 */
export async function makeAuthority(
  kind: AuthorityKind,
  options: AuthorityOptions,
): Promise<StoredAuthority> {
  const key = await options.keys.make(kind);
  try {
    if (kind === 'x509') return await makeX509(key, options);
    return await (kind === 'jwt' ? makeJwt(key, options) : makeTokenAuthority(key, options));
  } catch (error) {
    // A key that nothing was signed for is of no use; where it cannot be destroyed now, it stays in the HSM.
    await options.keys.destroy(key).catch(() => undefined);
    throw error;
  }
}

/** The issuer of a kept X.509 authority. */
export function x509AuthorityOf(
  { chain, key: signer }: Pick<StoredAuthority, 'chain' | 'key'>,
  { trustDomain, now }: Pick<AuthorityOptions, 'trustDomain' | 'now'>,
): Promise<X509Authority> {
  const [certificate, ...intermediates] = chain.map((der) => Buffer.from(der, 'base64'));
  if (!certificate) throw new Error('broken invariant: an x.509 authority has a certificate');
  return createX509Authority({
    trustDomain,
    signer,
    certificate,
    intermediates,
    now,
  });
}

async function makeX509(
  signer: AuthorityKey,
  { trustDomain, lifetimeSeconds, upstream, now }: AuthorityOptions,
): Promise<StoredAuthority> {
  if (upstream === undefined) {
    const authority = await createX509Authority({
      ...{ trustDomain, signer, now },
      validitySeconds: lifetimeSeconds,
    });
    return x509Slot(authority, {
      key: signer,
      chain: [base64(authority.certificate)],
      nowMs: now(),
    });
  }
  const { chain, x509Roots } = await upstream.mintX509Authority({
    ...{ trustDomain, signer, ttlSeconds: lifetimeSeconds },
    signal: AbortSignal.timeout(UPSTREAM_MS_MAX),
  });
  const stored = { key: signer, chain: chain.map(base64) };
  let authority: X509Authority;
  try {
    authority = await x509AuthorityOf(stored, { trustDomain, now });
    await requireUsable(authority, { roots: x509Roots, trustDomain, now });
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new SpiffeError(
      'ERR_SPIFFE_UPSTREAM_REFUSED',
      `could not use what ${upstream.name} signed: ${found}`,
      { cause },
    );
  }
  return {
    ...x509Slot(authority, { ...stored, nowMs: now() }),
    shared: x509Roots.map(base64),
    upstream: upstream.name,
  };
}

/** Issues and verifies as everybody will: what this refuses would be found out by every workload at once. */
async function requireUsable(
  authority: X509Authority,
  options: {
    readonly roots: readonly Uint8Array[];
    readonly trustDomain: string;
    readonly now: () => number;
  },
): Promise<void> {
  const { roots, trustDomain, now } = options;
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chain } = await authority.issueSvid({
    spiffeId: parseSpiffeId(`spiffe://${trustDomain}/countersign/probe`),
    publicKey,
    ttlSeconds: 60,
  });
  verifyX509Svid(chain, { bundles: new Map([[trustDomain, roots]]), now });
}

/** Whether what it issues leads to the roots that it goes with. */
export async function isVouchedFor(
  authority: StoredAuthority,
  { trustDomain, now }: Pick<AuthorityOptions, 'trustDomain' | 'now'>,
): Promise<boolean> {
  const { chain, shared } = authority;
  const roots = (shared.length > 0 ? shared : chain.slice(0, 1)).map((der) =>
    Buffer.from(String(der), 'base64'),
  );
  try {
    await requireUsable(await x509AuthorityOf(authority, { trustDomain, now }), {
      ...{ roots, trustDomain, now },
    });
    return true;
  } catch (error) {
    if (error instanceof SpiffeError) return false;
    throw error;
  }
}

async function makeJwt(
  signer: AuthorityKey,
  { trustDomain, lifetimeSeconds, upstream, now }: AuthorityOptions,
): Promise<StoredAuthority> {
  const { authority } = createJwtIssuer({ trustDomain, signer, now });
  const { keyId: id, publicKey } = authority;
  const nowMs = now();
  const notAfterMs = nowMs + lifetimeSeconds * 1000;
  const shared = await upstream?.publishJwtAuthority?.({ keyId: id, publicKey, notAfterMs });
  return {
    kind: 'jwt',
    state: 'prepared',
    ...{ id, key: signer, notAfterMs },
    chain: [],
    shared: (shared ?? [])
      .filter(({ keyId }) => keyId !== id)
      .map(({ keyId, publicKey: key }) => ({
        ...(key.export({ format: 'jwk' }) as Record<string, string>),
        kid: keyId,
        use: 'jwt-svid',
      })),
    notBeforeMs: nowMs,
    preparedMs: nowMs,
    jwk: publicJwk('jwt', signer.publicKey, id),
    ...(shared && upstream && { upstream: upstream.name }),
  };
}

function x509Slot(
  authority: X509Authority,
  {
    nowMs,
    ...rest
  }: Pick<StoredAuthority, 'key' | 'chain'> & {
    readonly nowMs: number;
  },
): StoredAuthority {
  return {
    kind: 'x509',
    id: authority.keyId,
    state: 'prepared',
    ...rest,
    shared: [],
    notBeforeMs: nowMs,
    notAfterMs: authority.notAfterMs,
    preparedMs: nowMs,
  };
}

function base64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}
