import { z } from 'zod';
import { describe, listOf, quote } from './describe.ts';
import type { Report, Words } from './report.ts';
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

function missing(path: Path, target: unknown): Words {
  const key = String(path.at(-1) ?? '');
  return {
    found: `no ${quote(key)}`,
    expected: descriptionOf(target) ?? 'a value',
    mend: `add '${key}: ${exampleOf(target) ?? '...'}'`,
  };
}

function faulty(
  issue: z.core.$ZodIssue,
  { written, target }: { readonly written: unknown; readonly target: unknown },
): Words {
  const found = describe(written);
  const example = exampleOf(target);
  const write = example === undefined ? 'correct it' : `write for example ${example}`;
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const expected = `one of ${listOf(values)}`;
    const word = typeof written === 'string' ? written : '';
    return { found, expected, mend: didYouMean(word, values, `write ${expected}`) };
  }
  if (issue.code === 'invalid_type') {
    const type = TYPE_NAMES[issue.expected] ?? issue.expected;
    const description = descriptionOf(target);
    return {
      found,
      expected: description === undefined ? type : `${type}: ${description}`,
      mend: asOther(written, issue.expected, target) ?? write,
    };
  }
  // Our own refinements carry what is expected as the message, and what to do as a parameter.
  const mend = issue.code === 'custom' ? issue.params?.['mend'] : undefined;
  const isOwn = !/^(Invalid|Too (big|small))/.test(issue.message);
  return {
    found,
    expected: isOwn ? issue.message : (descriptionOf(target) ?? issue.message.toLowerCase()),
    mend: typeof mend === 'string' ? mend : write,
  };
}

/** What the author most likely meant to write, when only its form is wrong. */
function asOther(written: unknown, expected: string, target: unknown): string | undefined {
  const isBare = typeof written === 'number' || typeof written === 'boolean';
  if (expected === 'string' && isBare) {
    const text = String(written);
    const fits = target instanceof z.ZodType && target.safeParse(text).success;
    return fits ? `quote it: '${text}'` : undefined;
  }
  return expected === 'array' && typeof written === 'string' ? `write [${written}]` : undefined;
}

function valueAt(value: unknown, path: Path): unknown {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return at;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  boolean: 'true or false',
  number: 'a number',
};

/** The part of a shape that a path leads to. */
function shapeAt(shape: z.ZodType, path: Path): unknown {
  let at: unknown = shape;
  for (const step of path) {
    const structure = structureOf(at);
    if (structure instanceof z.ZodObject) at = structure.def.shape[String(step)];
    else if (structure instanceof z.ZodArray) at = structure.def.element;
    else if (structure instanceof z.ZodRecord) at = structure.def.valueType;
    else return undefined;
  }
  return at;
}

/** A shape and what it wraps: defaults, optionals, transformations. */
function* layersOf(shape: unknown): Generator<z.ZodType> {
  let layer: unknown = shape;
  while (layer instanceof z.ZodType) {
    yield layer;
    if (layer instanceof z.ZodDefault || layer instanceof z.ZodOptional)
      layer = layer.def.innerType;
    else if (layer instanceof z.ZodPipe) layer = layer.def.in;
    else return;
  }
}

function structureOf(shape: unknown): z.ZodType | undefined {
  return [...layersOf(shape)].at(-1);
}

function descriptionOf(shape: unknown): string | undefined {
  for (const layer of layersOf(shape)) {
    const description = layer.meta()?.description;
    if (description !== undefined) return description;
  }
  return undefined;
}

function exampleOf(shape: unknown): string | undefined {
  for (const layer of layersOf(shape)) {
    const examples: unknown = layer.meta()?.['examples'];
    const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
    if (example !== undefined)
      return typeof example === 'string' ? example : JSON.stringify(example);
  }
  return undefined;
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
