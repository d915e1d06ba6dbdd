import type { AccessRequest, AuthorizationDetail } from '@countersign/model';
import { PURPOSE_TYPE } from '@countersign/model';
import type { Claims } from './claims.ts';

/** Details in one token. */
const DETAILS_MAX = 10;

/**
 * What a token says was authorised in detail (RFC 9396 §9.1): of each type one, as our issuer gives them.
 *
 * @returns nothing when the claim is malformed; an empty list when there is none
 */
export function tokenDetails(claims: Claims): readonly AuthorizationDetail[] | undefined {
  const value = claims['authorization_details'];
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > DETAILS_MAX) return undefined;
  const types = new Set<string>();
  for (const detail of value) {
    if (typeof detail !== 'object' || detail === null || Array.isArray(detail)) return undefined;
    const type: unknown = detail['type'];
    // Of two of one type a policy would see one; and what an object has of itself is no type.
    if (typeof type !== 'string' || !/^[a-z][a-z0-9_]{0,62}$/.test(type) || types.has(type)) {
      return undefined;
    }
    types.add(type);
  }
  return value;
}

/** Details as a policy is asked with them: the purpose by itself, the others by type. */
export function detailsOfRequest(
  details: readonly AuthorizationDetail[],
): Pick<AccessRequest, 'purpose' | 'authorizationDetails'> {
  const others = details.filter(({ type }) => type !== PURPOSE_TYPE);
  const code = details.find(({ type }) => type === PURPOSE_TYPE)?.['code'];
  return {
    ...(typeof code === 'string' && { purpose: code }),
    ...(others.length > 0 && {
      authorizationDetails: Object.fromEntries(others.map(({ type, ...fields }) => [type, fields])),
    }),
  };
}
