import { isDeepStrictEqual } from 'node:util';
import { factKey } from '@countersign/model';
import { type Bundle, encodeBundle } from '@countersign/spiffe';
import type { FactEdit, FactLog } from '@countersign/state';
import { bundleText, type TrustBundleFact } from '../authorities/own-bundle.ts';

/** A partner's bundle as enforcement points and nodes get it. */
function bundleFact(bundle: Bundle): TrustBundleFact {
  const { trustDomain, x509Authorities, jwtAuthorities, sequence, refreshHintSeconds } = bundle;
  const { keys } = JSON.parse(encodeBundle({ ...bundle, x509Authorities: [] })) as {
    keys: NonNullable<TrustBundleFact['jwtAuthorities']>;
  };
  return {
    kind: 'trust-bundle',
    trustDomain,
    x509Authorities: x509Authorities.map((der) => Buffer.from(der).toString('base64')),
    ...(jwtAuthorities.length > 0 && { jwtAuthorities: keys }),
    ...(sequence > 0 && { sequence }),
    ...(refreshHintSeconds > 0 && { refreshHintSeconds }),
  };
}

/** What to put and remove so that the facts hold our own bundle and these, and no other. */
export function bundleEdit(
  bundles: readonly Bundle[],
  factLog: Pick<FactLog, 'get' | 'all' | 'trustDomain'>,
): Required<FactEdit> {
  const wanted = new Map(bundles.map((bundle) => [bundle.trustDomain, plain(bundleFact(bundle))]));
  const puts = [...wanted.values()].filter(
    (fact) => !isDeepStrictEqual(factLog.get(factKey(fact)), fact),
  );
  const removes = factLog
    .all()
    .filter((fact) => fact.kind === 'trust-bundle')
    .filter(({ trustDomain }) => trustDomain !== factLog.trustDomain && !wanted.has(trustDomain))
    .map(factKey);
  return { puts, removes };
}

/** As JSON will say it, so that it compares with what was kept. */
function plain(fact: TrustBundleFact): TrustBundleFact {
  return JSON.parse(JSON.stringify(fact)) as TrustBundleFact;
}

/** The bundles in force of these trust domains, by name; those without one are left out, and so is our own. */
export function federatedBundles(
  trustDomains: readonly string[],
  factLog: Pick<FactLog, 'get' | 'trustDomain'>,
): Readonly<Record<string, string>> {
  const found = [...new Set(trustDomains)]
    .sort()
    .filter((trustDomain) => trustDomain !== factLog.trustDomain)
    .flatMap((trustDomain) => {
      const fact = factLog.get(`trust-bundle ${trustDomain}`);
      return fact?.kind === 'trust-bundle' ? [[trustDomain, bundleText(fact)] as const] : [];
    });
  return Object.fromEntries(found);
}
