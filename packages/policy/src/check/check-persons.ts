import type { Operation } from '@countersign/model';
import type { z } from 'zod';
import { quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import type { SourceDocument } from '../document/source-document.ts';
import { didYouMean } from '../document/suggest.ts';
import type { surfaceShape } from '../shape/surface-shape.ts';

/** The data class of a surface that holds data of persons. */
const PERSONAL_DATA = 'personal-data';

/** A type that is misspelt would leave names in the record without a word. */
export function checkPersons(
  { persons, dataClasses }: z.output<typeof surfaceShape>,
  operations: readonly Operation[],
  { document, report }: { readonly document: SourceDocument; readonly report: Report },
): void {
  const types = new Set(
    operations.flatMap(({ parameters }) => parameters.map(({ entityType }) => entityType)),
  );
  for (const [index, type] of (persons ?? []).entries()) {
    if (types.has(type)) continue;
    report.error(document.at(['persons', index]), {
      found: quote(type),
      expected: `a type that a path parameter names: ${[...types].sort().join(', ') || 'none here'}`,
      mend: didYouMean(type, types, 'correct it, or leave it out'),
    });
  }
  if (persons === undefined && dataClasses.includes(PERSONAL_DATA) && types.size > 0) {
    report.warn(document.at(['dataClasses', dataClasses.indexOf(PERSONAL_DATA)]), {
      found: `${PERSONAL_DATA}, and no 'persons'`,
      expected: `which ids name persons, of ${[...types].sort().join(', ')}: else they stand in the record as they are`,
      mend: `add for example persons: [${[...types].sort()[0]}], or persons: [] when none does`,
    });
  }
}
