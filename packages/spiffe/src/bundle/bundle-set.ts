import type { JwtBundleSource } from '../jwt/verify-jwt-svid.ts';
import { SpiffeError } from '../spiffe-error.ts';
import type { BundleSource } from '../svid/verify-x509-svid.ts';
import type { Bundle } from './bundle.ts';

/** The bundles of all trust domains that are known, each apart: whose authority may vouch for whom never mixes. */
export interface BundleSet {
  get(trustDomain: string): Bundle | undefined;
  readonly trustDomains: readonly string[];
  /** For {@link verifyX509Svid}; reads what is in force at that moment. */
  readonly x509: BundleSource;
  /** For {@link verifyJwtSvid}. */
  readonly jwt: JwtBundleSource;
  /**
   * Takes a bundle into force in place of the one of the same trust domain.
   *
   * @returns whether it changed anything: false for the sequence that is there already
   * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_INVALID` for a sequence below the one in force, and beyond 1,024 trust
   *   domains
   * @see SPIFFE Federation §4.2
   */
  put(bundle: Bundle): boolean;
  /** From then on nobody of that trust domain is believed. */
  remove(trustDomain: string): void;
}

const TRUST_DOMAINS_MAX = 1024;

/** Makes a set of bundles; a sequence of 0 says nothing, and then the last one put is in force. */
export function createBundleSet(bundles: Iterable<Bundle> = []): BundleSet {
  const byTrustDomain = new Map<string, Bundle>();
  const set: BundleSet = {
    get: (trustDomain) => byTrustDomain.get(trustDomain),
    get trustDomains() {
      return [...byTrustDomain.keys()];
    },
    x509: { get: (trustDomain) => byTrustDomain.get(trustDomain)?.x509Authorities },
    jwt: { get: (trustDomain) => byTrustDomain.get(trustDomain)?.jwtAuthorities },
    put: (bundle) => {
      const { trustDomain, sequence } = bundle;
      const before = byTrustDomain.get(trustDomain);
      // An older bundle would bring back authorities that were taken away.
      if (before && sequence !== 0 && sequence < before.sequence) {
        throw invalid(`sequence ${sequence} of '${trustDomain}'`, `${before.sequence} or more`);
      }
      if (!before && byTrustDomain.size >= TRUST_DOMAINS_MAX) {
        throw invalid(`trust domain ${byTrustDomain.size + 1}`, `at most ${TRUST_DOMAINS_MAX}`);
      }
      byTrustDomain.set(trustDomain, bundle);
      return before === undefined || sequence === 0 || sequence !== before.sequence;
    },
    remove: (trustDomain) => {
      byTrustDomain.delete(trustDomain);
    },
  };
  for (const bundle of bundles) set.put(bundle);
  return set;
}

function invalid(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_BUNDLE_INVALID',
    `could not take bundle: found ${found}, expected ${expected}`,
  );
}
