import { z } from 'zod';
import { listOf, quote } from './describe.ts';
import { faulty, missing } from './issue-words.ts';
import type { Report } from './report.ts';
import { shapeAt, structureOf, valueAt } from './shape-walk.ts';
import type { Path, SourceDocument } from './source-document.ts';
import { didYouMean, suggest } from './suggest.ts';

/**
 * Checks a part of a document against a shape and reports every fault at its own line.
 *
 * What is wrong but not needed (an unknown key, a bad value that has a default) is reported and left
 * out, so that the checks that follow still see the rest and one run tells all.
 *
 * @returns nothing when what remains does not fit
 */
export function checkShape<T extends z.ZodType>(
  document: SourceDocument,
  shape: T,
  options: { readonly report: Report; readonly path?: Path; readonly value?: unknown },
): z.output<T> | undefined {
  const { report, path = [] } = options;
  const value = 'value' in options ? options.value : document.value;
  const parsed = shape.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues;
  const meant = meantKeys(issues, shape);
  for (const issue of issues) reportIssue(issue, { document, shape, report, path, value, meant });
  return shape.safeParse(mended(value, issues, meant)).data;
}

/** {@link checkShape} for each entry of a list; entries that do not fit are left out. */
export function checkList<T extends z.ZodType>(
  document: SourceDocument,
  shape: T,
  report: Report,
): { readonly value: z.output<T>; readonly path: Path }[] {
  const list = checkShape(document, z.array(z.unknown()).max(100_000), { report });
  return (list ?? []).flatMap((value, index) => {
    const entry = checkShape(document, shape, { report, path: [index], value });
    return entry === undefined ? [] : [{ value: entry, path: [index] }];
  });
}

interface IssuePlace {
  readonly document: SourceDocument;
  readonly shape: z.ZodType;
  readonly report: Report;
  readonly path: Path;
  readonly value: unknown;
  readonly meant: MeantKeys;
}

/** Known keys by the unknown ones that were most likely meant to be them, with their paths as JSON. */
type MeantKeys = ReadonlyMap<string, string>;

function meantKeys(issues: readonly z.core.$ZodIssue[], shape: z.ZodType): MeantKeys {
  const meant = new Map<string, string>();
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    for (const key of issue.keys) {
      const near = suggest(key, knownKeys(shapeAt(shape, issue.path)));
      if (near !== undefined) meant.set(JSON.stringify([...issue.path, key]), near);
    }
  }
  return meant;
}

function knownKeys(target: unknown): readonly string[] {
  const structure = structureOf(target);
  return structure instanceof z.ZodObject ? Object.keys(structure.def.shape) : [];
}

function reportIssue(issue: z.core.$ZodIssue, where: IssuePlace): void {
  const { document, report } = where;
  const path = [...where.path, ...issue.path];
  const target = shapeAt(where.shape, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(target);
    for (const key of issue.keys) {
      report.error(document.atKey([...path, key]), {
        found: `unknown key ${quote(key)}`,
        expected: `one of ${listOf(known)}`,
        mend: didYouMean(key, known, 'remove it'),
      });
    }
    return;
  }
  // Before transformations, as the author wrote it.
  const written = valueAt(where.value, issue.path);
  if (written !== undefined) {
    report.error(document.at(path), faulty(issue, { written, target }));
    return;
  }
  // Told once, as the mistyped key that it is.
  const siblings = JSON.stringify(issue.path.slice(0, -1)).slice(0, -1);
  const isMistyped = [...where.meant].some(
    ([from, to]) => to === issue.path.at(-1) && from.startsWith(siblings),
  );
  if (!isMistyped) report.error(document.at(path.slice(0, -1)), missing(path, target));
}

/**
 * A copy with mistyped keys under the names they meant, and otherwise without what the issues point at.
 * Entries of lists stay, so that indexes keep their meaning.
 */
function mended(value: unknown, issues: readonly z.core.$ZodIssue[], meant: MeantKeys): unknown {
  const copy: unknown = structuredClone(value);
  // Faulty values go before keys are renamed: a renamed one must not be taken for the faulty one.
  for (const issue of issues.toSorted(unknownKeysLast)) {
    const isUnknown = issue.code === 'unrecognized_keys';
    const parent = valueAt(copy, isUnknown ? issue.path : issue.path.slice(0, -1));
    if (typeof parent !== 'object' || parent === null || Array.isArray(parent)) continue;
    const mapping = parent as Record<PropertyKey, unknown>;
    for (const key of isUnknown ? issue.keys : issue.path.slice(-1)) {
      const name = isUnknown ? meant.get(JSON.stringify([...issue.path, key])) : undefined;
      if (name !== undefined && !Object.hasOwn(mapping, name)) mapping[name] = mapping[key];
      delete mapping[key];
    }
  }
  return copy;
}

function unknownKeysLast(a: z.core.$ZodIssue, b: z.core.$ZodIssue): number {
  return Number(a.code === 'unrecognized_keys') - Number(b.code === 'unrecognized_keys');
}
