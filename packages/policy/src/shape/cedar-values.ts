import { z } from 'zod';

/** How deep attributes may nest: far below where recursion hurts anybody who reads them. */
export const ATTRIBUTE_DEPTH_MAX = 16;
/** The extension types of Cedar whose values attributes may hold. */
const EXTENSIONS = ['decimal', 'datetime', 'duration', 'ip'];

/** Attributes of an entity in Cedar's JSON form: text, integers, booleans, lists, mappings, escapes. */
export const attributes = z
  .record(z.string(), z.unknown())
  .superRefine((value, context) => {
    for (const fault of faultsOf(value, [])) {
      context.addIssue({
        code: 'custom',
        path: fault.path,
        message: fault.expected,
        input: fault.input,
        params: { mend: fault.mend },
      });
    }
  })
  .meta({
    description:
      'attributes in Cedar JSON: text, whole numbers, true or false, lists, mappings, { __entity: { type, id } }, { __extn: { fn, arg } }',
    examples: [{ tier: 'core' }],
  });

interface Fault {
  readonly path: PropertyKey[];
  readonly input: unknown;
  readonly expected: string;
  readonly mend: string;
}

function* faultsOf(value: unknown, path: PropertyKey[]): Generator<Fault> {
  const fault = (expected: string, mend: string): Fault => ({ path, input: value, expected, mend });
  if (path.length > ATTRIBUTE_DEPTH_MAX) {
    yield fault(`at most ${ATTRIBUTE_DEPTH_MAX} levels`, 'nest less');
  } else if (typeof value === 'number') {
    // Cedar integers are exact; a JavaScript number is only up to 2^53.
    if (!Number.isSafeInteger(value)) {
      yield fault(
        'a whole number below 2^53, or a decimal in text',
        `write { __extn: { fn: decimal, arg: '${value}' } }`,
      );
    }
  } else if (Array.isArray(value)) {
    for (const [index, entry] of value.entries()) yield* faultsOf(entry, [...path, index]);
  } else if (typeof value === 'object' && value !== null) {
    yield* mappingFaults(value as Record<string, unknown>, path);
  } else if (typeof value !== 'string' && typeof value !== 'boolean') {
    yield fault('a value', 'Cedar has no null: leave the attribute out');
  }
}

function* mappingFaults(value: Record<string, unknown>, path: PropertyKey[]): Generator<Fault> {
  const keys = Object.keys(value);
  const fault = (expected: string, mend: string): Fault => ({ path, input: value, expected, mend });
  if ('__entity' in value) {
    const uid = value['__entity'];
    const isUid =
      keys.length === 1 &&
      typeof uid === 'object' &&
      uid !== null &&
      Object.keys(uid).toSorted().join() === 'id,type' &&
      Object.values(uid).every((part) => typeof part === 'string');
    if (!isUid) {
      yield fault(
        '{ __entity: { type, id } } with both in text, and nothing beside',
        "write { __entity: { type: Accounts::Account, id: '22289' } }",
      );
    }
  } else if ('__extn' in value) {
    const call = value['__extn'] as { fn?: unknown; arg?: unknown } | null;
    const isCall =
      keys.length === 1 &&
      typeof call === 'object' &&
      typeof call?.fn === 'string' &&
      EXTENSIONS.includes(call.fn) &&
      typeof call.arg === 'string' &&
      Object.keys(call).length === 2;
    if (!isCall) {
      yield fault(
        `{ __extn: { fn, arg } } with fn one of ${EXTENSIONS.join(', ')} and arg in text`,
        "write { __extn: { fn: decimal, arg: '1.50' } }",
      );
    }
  } else {
    for (const key of keys) yield* faultsOf(value[key], [...path, key]);
  }
}
