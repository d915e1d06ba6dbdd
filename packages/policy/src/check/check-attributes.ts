import { assertNever, type Registration, subjectTypeName } from '@countersign/model';
import { describe, listOf, quote } from '../document/describe.ts';
import type { Report, Words } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import { isMapping } from '../openapi/resolve-reference.ts';
import type { Repository } from '../repository.ts';
import type { AttributeType, AttributeTypes } from '../schema/attribute-types.ts';
import type { EntityVocabulary } from '../schema/entity-vocabulary.ts';
import type { Located } from './repository-source.ts';

type Path = readonly PropertyKey[];

/**
 * Checks attributes against the schema. What Cedar only finds while it decides (a policy that asks for
 * an attribute which is not there fails, and a failed `forbid` refuses everybody) is found here first.
 */
export function checkAttributes(
  written: {
    readonly registrations: readonly Located<
      Pick<Registration, 'subject' | 'attributes' | 'parents'>
    >[];
    readonly entities: readonly Located<Repository['entities'][number]>[];
  },
  schema: {
    readonly vocabulary: EntityVocabulary;
    readonly types: ReadonlyMap<string, AttributeTypes>;
  },
  report: Report,
): void {
  const things = [
    ...written.registrations.map((located) => ({
      ...located,
      type: subjectTypeName(located.value.subject.kind),
    })),
    ...written.entities.map((located) => ({ ...located, type: located.value.uid.type })),
  ];
  for (const { value, document, path, type } of things) {
    const types = schema.types.get(type);
    // A type that the schema does not know has been told of already.
    if (!types) continue;
    for (const fault of recordFaults(value.attributes, types, ['attributes'])) {
      // A reference to a type that is not known has been told of too.
      if (fault.reference !== undefined && !schema.vocabulary.has(fault.reference)) continue;
      const full = [...path, ...fault.path];
      const place = fault.atKey ? document.atKey(full) : document.at(full);
      report.error(place, { ...fault.words, expected: `${fault.words.expected} (type ${type})` });
    }
  }
}

interface Fault {
  readonly path: Path;
  readonly atKey?: boolean;
  /** The type of the entity that stands there, if one does. */
  readonly reference?: string;
  readonly words: Words;
}

function* recordFaults(
  record: Readonly<Record<string, unknown>>,
  types: AttributeTypes,
  path: Path,
): Generator<Fault> {
  for (const [name, { isRequired, type }] of types) {
    if (!isRequired || Object.hasOwn(record, name)) continue;
    yield {
      path,
      words: {
        found: `no attribute ${quote(name)}`,
        expected: `${typeWords(type)}, which the schema requires`,
        mend: `add '${name}', or write '${name}?' in policies/schema.cedarschema`,
      },
    };
  }
  for (const [name, value] of Object.entries(record)) {
    const declared = types.get(name);
    if (declared) {
      yield* valueFaults(value, declared.type, [...path, name]);
      continue;
    }
    yield {
      path: [...path, name],
      atKey: true,
      words: {
        found: `attribute ${quote(name)}`,
        expected: `one that the schema declares: ${listOf(types.keys())}`,
        mend: didYouMean(name, types.keys(), 'declare it in policies/schema.cedarschema'),
      },
    };
  }
}

function* valueFaults(value: unknown, type: AttributeType, path: Path): Generator<Fault> {
  if (type.kind === 'set' && Array.isArray(value)) {
    for (const [index, entry] of value.entries()) {
      yield* valueFaults(entry, type.element, [...path, index]);
    }
  } else if (type.kind === 'record' && isPlainRecord(value)) {
    yield* recordFaults(value, type.attributes, path);
  } else if (!isOfType(value, type)) {
    const reference = referenceOf(value);
    yield {
      path,
      ...(reference !== undefined && { reference }),
      words: {
        found: reference === undefined ? describe(value) : `an entity of type ${reference}`,
        expected: typeWords(type),
        mend: `write ${exampleOf(type)}`,
      },
    };
  }
}

function isOfType(value: unknown, type: AttributeType): boolean {
  switch (type.kind) {
    case 'primitive':
      return typeof value === { String: 'string', Long: 'number', Bool: 'boolean' }[type.name];
    case 'entity':
      return referenceOf(value) === type.name;
    case 'extension':
      return isMapping(value) && isMapping(value['__extn']) && value['__extn']['fn'] === type.fn;
    case 'set':
    case 'record':
      return false;
    case 'unknown':
      return true;
    default:
      return assertNever(type);
  }
}

function isPlainRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return isMapping(value) && !('__entity' in value) && !('__extn' in value);
}

function referenceOf(value: unknown): string | undefined {
  const uid = isMapping(value) ? value['__entity'] : undefined;
  return isMapping(uid) ? String(uid['type']) : undefined;
}

function typeWords(type: AttributeType): string {
  switch (type.kind) {
    case 'primitive':
      return { String: 'text', Long: 'a whole number', Bool: 'true or false' }[type.name];
    case 'entity':
      return `an entity of type ${type.name}`;
    case 'extension':
      return `a ${type.name}`;
    case 'set':
      return type.element.kind === 'set'
        ? 'a list of lists'
        : `a list, each ${typeWords(type.element)}`;
    case 'record':
      return `a mapping with ${listOf(type.attributes.keys())}`;
    case 'unknown':
      return 'a value';
    default:
      return assertNever(type);
  }
}

const EXTENSION_EXAMPLES: Readonly<Record<string, string>> = {
  ip: '192.0.2.0/24',
  decimal: '1.50',
  datetime: '2026-11-02T10:00:00Z',
  duration: '1h30m',
};

function exampleOf(type: AttributeType): string {
  switch (type.kind) {
    case 'primitive':
      return { String: "'text'", Long: '42', Bool: 'true' }[type.name];
    case 'entity':
      return `{ __entity: { type: ${type.name}, id: '...' } }`;
    case 'extension':
      return `{ __extn: { fn: ${type.fn}, arg: '${EXTENSION_EXAMPLES[type.fn] ?? ''}' } }`;
    case 'set':
      return type.element.kind === 'set' ? '[[...]]' : `[${exampleOf(type.element)}]`;
    case 'record':
      return `{ ${[...type.attributes.keys()].map((name) => `${name}: ...`).join(', ')} }`;
    case 'unknown':
      return '...';
    default:
      return assertNever(type);
  }
}
