import { LIMITS } from '../limits.ts';
import type { RecordType, SchemaType } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import type { UnknownAttribute } from './partial-request.ts';
import type { OpenField, OpenRecord } from './shape.ts';

/** Why a context can be none: told to whoever made the request. */
export class ContextFault {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** What is known of a context, its unknown attributes as fields. */
export function openContext(
  known: CedarRecord,
  unknown: 'rest' | readonly UnknownAttribute[],
  type: RecordType | undefined,
): OpenRecord | ContextFault {
  if (unknown === 'rest') return openRest(known, type);
  const tooLong = faultOfLength(unknown);
  if (tooLong) return tooLong;
  return openRecord(
    known,
    unknown.map(({ path, isPresent = false }) => ({ at: [], rest: path, isPresent })),
    type,
  );
}

/** No context has a value deeper than this; and following a path takes a call for each name. */
export function faultOfLength(unknown: readonly UnknownAttribute[]): ContextFault | undefined {
  const path = unknown.find((each) => each.path.length > LIMITS.valueNesting)?.path;
  return path && fault(path.slice(0, 1), `expected at most ${LIMITS.valueNesting} names`);
}

function openRest(known: CedarRecord, type: RecordType | undefined): OpenRecord {
  const fields = knownFields(known);
  for (const [name, declared] of type?.attributes ?? []) {
    if (fields.has(name)) continue;
    fields.set(name, { kind: 'unknown', isPresent: declared.required, shape: declared.type });
  }
  // With a schema the context holds nothing else.
  return { kind: 'openRecord', fields, hasRest: type === undefined };
}

/** A path to an unknown attribute, as far as it was walked. */
interface Path {
  readonly at: readonly string[];
  readonly rest: readonly string[];
  readonly isPresent: boolean;
}

function openRecord(
  known: CedarRecord | undefined,
  unknown: readonly Path[],
  type: RecordType | undefined,
): OpenRecord | ContextFault {
  const fields = knownFields(known);
  for (const [name, paths] of Map.groupBy(unknown, ({ rest }) => rest[0])) {
    const [{ at } = { at: [] }] = paths;
    if (name === undefined) return fault(at, 'expected a name');
    const declared = type?.attributes.get(name);
    if (type && !declared) return fault([...at, name], 'expected an attribute of the schema');
    const field = openField(known?.get(name), paths, declared);
    if (field instanceof ContextFault) return field;
    fields.set(name, field);
  }
  return { kind: 'openRecord', fields, hasRest: false };
}

function openField(
  value: ReturnType<CedarRecord['get']>,
  paths: readonly Path[],
  declared: { readonly type: SchemaType; readonly required: boolean } | undefined,
): OpenField | ContextFault {
  const inner = paths.map(({ at, rest, isPresent }) => ({
    at: [...at, ...rest.slice(0, 1)],
    rest: rest.slice(1),
    isPresent,
  }));
  const whole = inner.find(({ rest }) => rest.length === 0);
  if (whole) {
    if (value !== undefined) return fault(whole.at, 'expected no value for it in the context');
    if (inner.length > 1) return fault(whole.at, 'expected it once, and nothing inside of it');
    const isPresent = whole.isPresent || declared?.required === true;
    return { kind: 'unknown', isPresent, shape: declared?.type };
  }
  const [{ at } = { at: [] }] = inner;
  if (value !== undefined && !(value instanceof CedarRecord)) return fault(at, 'expected a record');
  if (declared && declared.type.kind !== 'record') return fault(at, 'expected a record');
  const record = openRecord(
    value,
    inner,
    declared?.type.kind === 'record' ? declared.type : undefined,
  );
  return record instanceof ContextFault
    ? record
    : { kind: 'unknown', isPresent: true, shape: record };
}

function knownFields(known: CedarRecord | undefined): Map<string, OpenField> {
  const fields = new Map<string, OpenField>();
  for (const [name, value] of known?.entries() ?? []) fields.set(name, { kind: 'known', value });
  return fields;
}

function fault(path: readonly string[], message: string): ContextFault {
  return new ContextFault(`found '${path.join('.')}' unknown, ${message}`);
}
