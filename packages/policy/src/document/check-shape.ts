import { z } from 'zod';
import { describe, listOf, quote } from './describe.ts';
import type { Report, Words } from './report.ts';
import type { Path, SourceDocument } from './source-document.ts';
import { didYouMean } from './suggest.ts';

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
  for (const issue of parsed.error.issues) reportIssue(issue, { document, shape, report, path });
  return shape.safeParse(without(value, parsed.error.issues)).data;
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
}

function reportIssue(issue: z.core.$ZodIssue, where: IssuePlace): void {
  const { document, report } = where;
  const path = [...where.path, ...issue.path];
  const target = shapeAt(where.shape, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const structure = structureOf(target);
    const known = structure instanceof z.ZodObject ? Object.keys(structure.def.shape) : [];
    for (const key of issue.keys) {
      report.error(document.atKey([...path, key]), {
        found: `unknown key ${quote(key)}`,
        expected: `one of ${listOf(known)}`,
        mend: didYouMean(key, known, 'remove it'),
      });
    }
    return;
  }
  const isMissing = issue.code === 'invalid_type' && issue.input === undefined;
  const place = isMissing ? document.at(path.slice(0, -1)) : document.at(path);
  report.error(place, isMissing ? missing(path, target) : faulty(issue, target));
}

function missing(path: Path, target: unknown): Words {
  const key = String(path.at(-1) ?? '');
  return {
    found: `no ${quote(key)}`,
    expected: descriptionOf(target) ?? 'a value',
    mend: `add '${key}: ${exampleOf(target) ?? '...'}'`,
  };
}

function faulty(issue: z.core.$ZodIssue, target: unknown): Words {
  const found = describe(issue.input);
  const example = exampleOf(target);
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const otherwise = `write one of ${listOf(values)}`;
    const word = typeof issue.input === 'string' ? issue.input : '';
    return {
      found,
      expected: `one of ${listOf(values)}`,
      mend: didYouMean(word, values, otherwise),
    };
  }
  if (issue.code === 'invalid_type') {
    const isUnquoted =
      issue.expected === 'string' && ['number', 'boolean'].includes(typeof issue.input);
    const otherwise = example === undefined ? 'correct it' : `write for example ${quote(example)}`;
    return {
      found,
      expected: descriptionOf(target) ?? TYPE_NAMES[issue.expected] ?? issue.expected,
      mend: isUnquoted ? `quote it: '${String(issue.input)}'` : otherwise,
    };
  }
  // Our own refinements carry what is expected as the message, and what to do as a parameter.
  const mend = issue.code === 'custom' ? issue.params?.['mend'] : undefined;
  const expected = /^(Invalid|Too (big|small))/.test(issue.message) ? undefined : issue.message;
  return {
    found,
    expected: expected ?? descriptionOf(target) ?? issue.message.toLowerCase(),
    mend:
      typeof mend === 'string'
        ? mend
        : example === undefined
          ? 'correct it'
          : `write for example ${quote(example)}`,
  };
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

/** A copy without what the issues point at; entries of lists stay, so that indexes keep their meaning. */
function without(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy: unknown = structuredClone(value);
  for (const issue of issues) {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : issue.path.slice(-1);
    const parentPath = issue.code === 'unrecognized_keys' ? issue.path : issue.path.slice(0, -1);
    let parent: unknown = copy;
    for (const step of parentPath)
      parent = (parent as Record<PropertyKey, unknown> | undefined)?.[step];
    if (typeof parent !== 'object' || parent === null || Array.isArray(parent)) continue;
    for (const key of keys) delete (parent as Record<PropertyKey, unknown>)[key];
  }
  return copy;
}
