import type { Fact } from '@countersign/model';
import { type Bundle, encodeBundle, parseBundle } from '@countersign/spiffe';
import type { StoredAuthority } from './authority-rows.ts';

/** The fact that says which authorities vouch for the trust domain. */
export type TrustBundleFact = Extract<Fact, { kind: 'trust-bundle' }>;

/**
 * SPIRE's: a tenth of the shortest life of an authority, a minute at the least; five minutes at the most, as its bundle endpoints
 * say: for so long an authority that is tainted is believed by partners, whom nobody can tell (SPIFFE Federation §5.3).
 */
const REFRESH_HINT = { part: 1 / 10, secondsMin: 60, secondsMax: 300 } as const;

/**
 * The bundle of the trust domain: whatever is prepared, active or old, and nothing that is tainted.
 *
 * @param before the bundle in force; when nothing but the sequence would change, that is the answer
 */
export function ownBundle(
  authorities: readonly StoredAuthority[],
  options: {
    readonly trustDomain: string;
    readonly before: TrustBundleFact | undefined;
    /** Whether it gets a new sequence though nothing in it changed. */
    readonly isAnother: boolean;
    readonly lifetimeSecondsMin: number;
    readonly nowMs: number;
  },
): TrustBundleFact {
  const { trustDomain, before, isAnother, lifetimeSecondsMin, nowMs } = options;
  const trusted = authorities.filter(({ state }) => state !== 'tainted');
  const x509 = trusted.filter(({ kind }) => kind === 'x509');
  const jwt = trusted.filter(({ kind }) => kind === 'jwt');
  const content = {
    kind: 'trust-bundle' as const,
    trustDomain,
    x509Authorities: unique(
      x509.flatMap(({ chain, shared }) => (shared.length > 0 ? shared : chain.slice(0, 1))),
    ).map(String),
    jwtAuthorities: uniqueKeys([
      ...jwt.map(({ jwk }) => jwk),
      ...jwt.flatMap(({ shared }) => shared as Record<string, string>[]),
    ]),
    refreshHintSeconds: Math.min(
      REFRESH_HINT.secondsMax,
      Math.max(REFRESH_HINT.secondsMin, Math.floor(lifetimeSecondsMin * REFRESH_HINT.part)),
    ),
  };
  const { sequence = 0, ...known } = before ?? {};
  if (before !== undefined && !isAnother && JSON.stringify(known) === JSON.stringify(content))
    return before;
  // Not only one more: a database that was restored would give numbers anew that others have seen with something else.
  return { ...content, sequence: Math.max(sequence + 1, Math.floor(nowMs / 1000)) };
}

/** The same as a SPIFFE JWK Set, for nodes and for other trust domains. */
export function bundleText(fact: TrustBundleFact): string {
  return encodeBundle(bundleOf(fact));
}

/** The fact as the spiffe room has it. */
export function bundleOf(fact: TrustBundleFact): Bundle {
  const { trustDomain, jwtAuthorities = [], sequence = 0, refreshHintSeconds = 300 } = fact;
  const { jwtAuthorities: keys } = parseBundle(
    JSON.stringify({ keys: jwtAuthorities.map((jwk) => ({ ...jwk, use: 'jwt-svid' })) }),
    { trustDomain },
  );
  return {
    trustDomain,
    x509Authorities: fact.x509Authorities.map((der) => Buffer.from(der, 'base64')),
    jwtAuthorities: keys,
    sequence,
    refreshHintSeconds,
  };
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

function uniqueKeys(jwks: readonly (Readonly<Record<string, string>> | undefined)[]) {
  const byKid = new Map(jwks.flatMap((jwk) => (jwk ? [[jwk['kid'], { ...jwk }] as const] : [])));
  return [...byKid.values()];
}
