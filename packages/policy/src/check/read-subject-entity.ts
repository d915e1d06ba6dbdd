import { type SubjectEntity, subjectFromId } from '@countersign/model';
import { checkShape } from '../document/check-shape.ts';
import { createReport, type Place, type Words } from '../document/report.ts';
import type { SourceDocument } from '../document/source-document.ts';
import type { Repository } from '../repository.ts';
import { subjectEntityShape } from '../shape/subject-entity-shape.ts';
import { entityFault } from './entity-fault.ts';

/** Whether a subject is one of whom a token may vouch something: a customer, of whom no file tells. */
export function vouchingFault(
  spiffeId: string,
  registered: ReadonlySet<string>,
): Omit<Words, 'mend'> | undefined {
  const { kind } = subjectFromId(spiffeId);
  if (kind !== 'customer') return { found: `a ${kind}`, expected: 'a customer: customer/<id>' };
  if (!registered.has(spiffeId)) return undefined;
  return {
    found: 'a customer who stands in identities/',
    expected: 'one who stands in no file: of others the file counts, and not what a token says',
  };
}

/**
 * Reads what a token is assumed to vouch of a customer, `{ attributes, parents }`, and holds it against the schema.
 *
 * @returns what is wrong with it, where (`attributes.accounts.0`), or the entity
 */
export function readSubjectEntity(
  written: unknown,
  { spiffeId, repository }: { readonly spiffeId: string; readonly repository: Repository },
):
  | { readonly entity: SubjectEntity }
  | {
      readonly fault: { readonly path: string; readonly found: string; readonly expected: string };
    } {
  const ids = new Set(repository.registrations.map(({ subject }) => subject.id));
  const foreign = vouchingFault(spiffeId, ids);
  if (foreign) return { fault: { path: '', ...foreign } };
  const report = createReport();
  const at = (path: readonly PropertyKey[]): Place => ({ file: path.map(String).join('.') });
  const document: SourceDocument = { file: '', value: written, at, atKey: at };
  const entity = checkShape(document, subjectEntityShape, { report });
  const [first] = report.problems();
  if (first) return { fault: { path: first.file, found: first.found, expected: first.expected } };
  if (!entity) return { fault: { path: '', found: 'no entity', expected: 'attributes, parents' } };
  const fault = entityFault(spiffeId, entity, repository);
  return fault ? { fault } : { entity };
}
