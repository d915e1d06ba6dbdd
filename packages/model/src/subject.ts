import { ModelError } from './model-error.ts';

/** What kinds of subject there are; the first path segment of a subject's SPIFFE ID names it. */
export const SUBJECT_KINDS = [
  'human',
  'customer',
  'workload',
  'device',
  'partner',
  'agent',
] as const;

/** One of {@link SUBJECT_KINDS}. */
export type SubjectKind = (typeof SUBJECT_KINDS)[number];

/** Who asks, named by a SPIFFE ID such as `spiffe://bank.example/workload/payments/api`. */
export interface Subject {
  readonly kind: SubjectKind;
  /** A SPIFFE ID URI, at most 2048 bytes. */
  readonly id: string;
}

/** The Cedar entity type of a kind: `workload` is `Workload`. */
export function subjectTypeName(kind: SubjectKind): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

// SPIFFE-ID §2: lower-case trust domain, path segments of a closed character set, no trailing slash.
const SUBJECT_ID =
  /^spiffe:\/\/[a-z0-9._-]{1,255}\/(human|customer|workload|device|partner|agent)((?:\/[A-Za-z0-9._-]+)+)$/;

/**
 * Reads the kind out of a subject's SPIFFE ID.
 *
 * @throws {ModelError} `ERR_MODEL_SUBJECT_INVALID` when it is no SPIFFE ID or names no kind of ours
 */
export function subjectFromId(id: string): Subject {
  const match = id.length <= 2048 ? SUBJECT_ID.exec(id) : null;
  const segments = match?.[2]?.split('/');
  if (!match || segments?.some((segment) => segment === '.' || segment === '..')) {
    throw new ModelError(
      'ERR_MODEL_SUBJECT_INVALID',
      `cannot read subject: found '${id.slice(0, 200)}', expected spiffe://<trust domain>/<${SUBJECT_KINDS.join('|')}>/<name>`,
    );
  }
  return { kind: match[1] as SubjectKind, id };
}

/** What follows the trust domain in a SPIFFE ID: `workload/payments/api`. Whatever is none stays as it is. */
export function pathOfSubject(id: string): string {
  return id.replace(/^spiffe:\/\/[^/]+\//, '');
}
