import { type SubjectEntity, subjectFromId } from '@countersign/model';
import { createReport, type Place } from '../document/report.ts';
import type { SourceDocument } from '../document/source-document.ts';
import type { Repository } from '../repository.ts';
import { checkAttributes } from './check-attributes.ts';
import { checkEntityTypes } from './check-entity-types.ts';

/** What is wrong with what somebody wrote of a subject. */
export interface EntityFault {
  /** `attributes.accounts.0`, from the entity on. */
  readonly path: string;
  readonly found: string;
  readonly expected: string;
}

/**
 * Holds attributes and parents of a subject that stands in no file, such as a customer, against the schema of the repository, as
 * `check` does with those that do.
 *
 * @param spiffeId of any subject of that kind
 * @returns the first fault; nothing when policies can use it
 */
export function entityFault(
  spiffeId: string,
  { attributes, parents }: SubjectEntity,
  { entitySchema: { vocabulary, types } }: Pick<Repository, 'entitySchema'>,
): EntityFault | undefined {
  const report = createReport();
  const place = (path: readonly PropertyKey[]): Place => ({ file: path.map(String).join('.') });
  const document: SourceDocument = { file: '', value: undefined, at: place, atKey: place };
  const value = { subject: subjectFromId(spiffeId), attributes, parents };
  const written = { registrations: [{ value, document, path: [] }], entities: [] };
  checkEntityTypes(written, vocabulary, report);
  checkAttributes(written, { vocabulary, types }, report);
  const [first] = report.problems();
  return first && { path: first.file, found: first.found, expected: first.expected };
}
