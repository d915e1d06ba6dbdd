import { ACR_VALUES, type Acr } from '@countersign/model';
import type { IdentityProvider } from './identity-provider.ts';

type Claims = Readonly<Record<string, unknown>>;

/** How many values of a claim are looked at. */
const VALUES_MAX = 64;

/** What a provider's word is worth by the bank's mapping for it; the word alone is worth nothing, also when it is one of ours. */
export function providerLevel(
  claims: Claims,
  { acrClaim, acr, amr }: Pick<IdentityProvider, 'acrClaim' | 'acr' | 'amr'>,
): { readonly acr: Acr; readonly amr: readonly string[] } {
  const levels = valuesOf(claims[acrClaim]).flatMap((each) => mapped(acr, each));
  const highest = ACR_VALUES.findLast((each) => levels.includes(each));
  const methods = valuesOf(claims['amr']).flatMap((each) => mapped(amr, each));
  return { acr: highest ?? 'idp', amr: [...new Set(methods)] };
}

/** Whether a claim has one of the values; one that the provider left out, as when there are too many groups, has none. */
export function meets(
  claims: Claims,
  { claim, anyOf }: NonNullable<IdentityProvider['requires']>,
): boolean {
  return valuesOf(claims[claim], Number.POSITIVE_INFINITY).some((each) => anyOf.includes(each));
}

function mapped<T>(map: Readonly<Record<string, T>>, value: string): T[] {
  return Object.hasOwn(map, value) ? [map[value] as T] : [];
}

function valuesOf(claim: unknown, max = VALUES_MAX): readonly string[] {
  const values: unknown[] = Array.isArray(claim) ? claim.slice(0, max) : [claim];
  return values.flatMap((each) =>
    typeof each === 'string' ? [each] : Number.isSafeInteger(each) ? [String(each)] : [],
  );
}
