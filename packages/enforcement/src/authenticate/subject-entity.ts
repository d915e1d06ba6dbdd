import type { EntityUid, Subject, SubjectEntity } from '@countersign/model';
import { type Claims, objectClaim } from './claims.ts';

/** As much as an issuer vouches of one customer: what a header can carry beside all else. */
const PARENTS_MAX = 100;

/** The claim that carries it, in access tokens of our issuer and in transaction tokens. */
export const SUBJECT_ENTITY = 'subject_entity';

/** What a token says of its subject; of a customer only: all others are known by facts. Nothing when there is none, or it is malformed. */
export function subjectEntity(claims: Claims, { kind }: Subject): SubjectEntity | undefined {
  if (kind !== 'customer') return undefined;
  const claim = objectClaim(claims, SUBJECT_ENTITY);
  const attributes = claim && objectClaim(claim, 'attributes');
  const parents = claim?.['parents'];
  if (!attributes || !Array.isArray(parents) || parents.length > PARENTS_MAX) return undefined;
  return parents.every(isUid) ? { attributes, parents } : undefined;
}

function isUid(value: unknown): value is EntityUid {
  if (typeof value !== 'object' || value === null) return false;
  const { type, id } = value as Record<string, unknown>;
  return typeof type === 'string' && typeof id === 'string';
}
