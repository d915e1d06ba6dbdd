import { isDeepStrictEqual } from 'node:util';
import { type Fact, factKey } from '@countersign/model';
import type { FactLog } from '@countersign/state';
import type { StoredAuthority } from './authority-rows.ts';

/** The longest life of an access token, and how far clocks of two machines are apart. */
const LAST_TOKEN_MS = 360_000;
/** The last moment that a date can say: keys of before rotation have no end. */
const FOREVER_MS = 8_640_000_000_000_000;

/**
 * What is to be changed so that the issuer's keys, by which points verify access tokens, are those that are prepared, active or
 * old, and no others: of another issuer name neither.
 */
export function issuerKeyChanges(
  authorities: readonly StoredAuthority[],
  { factLog, issuerUrl }: { readonly factLog: FactLog; readonly issuerUrl: string },
): { readonly puts: readonly Fact[]; readonly removes: readonly string[] } {
  const keys = authorities.flatMap(({ kind, state, id, jwk, notAfterMs }): Fact[] =>
    kind === 'token' && state !== 'tainted' && jwk
      ? [
          {
            kind: 'issuer-key',
            ...{ issuer: issuerUrl, kid: id, jwk },
            notAfterMs: Math.min(notAfterMs + LAST_TOKEN_MS, FOREVER_MS),
          },
        ]
      : [],
  );
  const trusted = new Set(keys.map(factKey));
  return {
    puts: keys.filter((key) => !isDeepStrictEqual(factLog.get(factKey(key)), key)),
    removes: factLog
      .all()
      .flatMap((fact) => (fact.kind === 'issuer-key' ? [factKey(fact)] : []))
      .filter((key) => !trusted.has(key)),
  };
}
