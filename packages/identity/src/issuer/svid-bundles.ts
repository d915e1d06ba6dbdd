import { type BundleSource, type JwtBundleSource, parseJwtBundle } from '@countersign/spiffe';
import type { FactLog } from '@countersign/state';

/**
 * What SVIDs are verified with: the `trust-bundle` facts, of our own trust domain and of those that we federate with. Nothing
 * that a client says, a bundle endpoint least of all, adds to them.
 *
 * @see draft-ietf-oauth-spiffe-client-auth, "SPIFFE Key Distribution and Validation"
 */
export interface SvidBundles {
  readonly x509: BundleSource;
  readonly jwt: JwtBundleSource;
}

/** Bundles by the facts of that moment, decoded once per fact. */
export function svidBundles(factLog: FactLog): SvidBundles {
  const x509 = new WeakMap<object, ReturnType<BundleSource['get']>>();
  const jwt = new WeakMap<object, ReturnType<JwtBundleSource['get']>>();
  const factOf = (trustDomain: string) => {
    const fact = factLog.get(`trust-bundle ${trustDomain}`);
    return fact?.kind === 'trust-bundle' ? fact : undefined;
  };
  return {
    x509: {
      get(trustDomain) {
        const fact = factOf(trustDomain);
        if (fact === undefined) return undefined;
        let authorities = x509.get(fact);
        authorities ??= fact.x509Authorities.map((der) => Buffer.from(der, 'base64'));
        x509.set(fact, authorities);
        return authorities;
      },
    },
    jwt: {
      get(trustDomain) {
        const fact = factOf(trustDomain);
        if (fact === undefined) return undefined;
        let authorities = jwt.get(fact);
        authorities ??= parseJwtBundle(JSON.stringify({ keys: fact.jwtAuthorities ?? [] }));
        jwt.set(fact, authorities);
        return authorities;
      },
    },
  };
}
