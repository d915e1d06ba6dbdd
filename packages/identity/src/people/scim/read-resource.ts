import { isRecord, named, type ScimResource } from './attribute-path.ts';
import { badRequest, quoted } from './scim-error.ts';
import type { ResourceType, ScimAttribute } from './scim-schemas.ts';

/** Characters of one value. */
const TEXT_LENGTH_MAX = 2048;
/** Elements of one multi-valued attribute; members of a group are kept elsewhere and not bounded by this. */
export const ELEMENTS_MAX = 100;
/** Of a person as JSON. */
const RESOURCE_BYTES_MAX = 64 * 1024;

/**
 * Reads what a client posts or puts into the shape of the schemas: names in their spelling, values of their types. What is read-only or
 * write-only is read over, and so is what no schema knows (RFC 7644 §3.3).
 *
 * @throws {ScimFault} 400 `invalidValue` or `invalidSyntax`
 */
export function readResource(body: unknown, type: ResourceType): ScimResource {
  if (!isRecord(body)) throw badRequest('invalidSyntax', 'found no JSON object');
  const resource: Record<string, unknown> = {};
  const externalId = EXTERNAL_ID;
  for (const [name, value] of Object.entries(body)) {
    const attribute = named([externalId, ...type.core.attributes], name);
    if (attribute) {
      if (!isKept(attribute)) continue;
      if (Object.hasOwn(resource, attribute.name)) {
        throw badRequest('invalidSyntax', `found ${quoted(attribute.name)} twice`);
      }
      put(resource, attribute, value);
      continue;
    }
    const extension = type.extensions.find(({ id }) => id.toLowerCase() === name.toLowerCase());
    if (extension && isRecord(value)) {
      const part: Record<string, unknown> = {};
      for (const [inner, each] of Object.entries(value)) {
        const found = named(extension.attributes, inner);
        if (found && isKept(found)) put(part, found, each);
      }
      if (Object.keys(part).length > 0) resource[extension.id] = part;
    }
  }
  return resource;
}

/** RFC 7643 §3.1; the only common attribute that a client may set. */
const EXTERNAL_ID: ScimAttribute = {
  name: 'externalId',
  type: 'string',
  multiValued: false,
  description: '',
  required: false,
  caseExact: true,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
};

/** @throws {ScimFault} when a resource has grown beyond 64 KiB, or lacks what every one must have */
export function checkResource(resource: ScimResource, type: ResourceType): ScimResource {
  for (const { name, required } of type.core.attributes) {
    const value = resource[name];
    if (required && (typeof value !== 'string' || value.trim() === '')) {
      throw badRequest('invalidValue', `found no ${name}, expected one`);
    }
  }
  const bytes = Buffer.byteLength(JSON.stringify(resource));
  if (bytes > RESOURCE_BYTES_MAX) {
    throw badRequest(
      'invalidValue',
      `found ${bytes} bytes, expected at most ${RESOURCE_BYTES_MAX}`,
    );
  }
  return resource;
}

function isKept({ mutability }: ScimAttribute): boolean {
  return mutability === 'readWrite';
}

function put(into: Record<string, unknown>, attribute: ScimAttribute, value: unknown): void {
  const read = readValue(value, attribute);
  if (read !== undefined) into[attribute.name] = read;
}

/**
 * A value as its attribute has it, or nothing when it means that there is none (`null`, an empty list). Takes what identity providers
 * really send: booleans as text, a list with one element for a single value, a plain value for a complex one.
 *
 * @throws {ScimFault} 400 `invalidValue`
 */
export function readValue(value: unknown, attribute: ScimAttribute): unknown {
  if (value === null || value === undefined) return undefined;
  if (!attribute.multiValued) {
    // Entra sends `[{ "value": … }]` for a manager, and for plain attributes when it speaks its dialect of 2017.
    const only = Array.isArray(value) && value.length <= 1 ? value[0] : value;
    return only === undefined || only === null ? undefined : readSingle(only, attribute);
  }
  const list = Array.isArray(value) ? value : [value];
  if (list.length > ELEMENTS_MAX) {
    throw badRequest(
      'invalidValue',
      `found ${list.length} of ${quoted(attribute.name)}, expected at most ${ELEMENTS_MAX}`,
    );
  }
  const read = list
    .filter((each) => each !== null && each !== undefined)
    .map((each) => readSingle(each, attribute))
    .filter((each) => each !== undefined);
  return read.length === 0 ? undefined : read;
}

/** One value, or one element of several. */
export function readSingle(value: unknown, attribute: ScimAttribute): unknown {
  switch (attribute.type) {
    case 'complex':
      return readComplex(value, attribute);
    case 'boolean':
      return readBoolean(value, attribute);
    case 'dateTime':
    case 'string':
    case 'reference':
      return readText(value, attribute);
  }
}

function readComplex(value: unknown, attribute: ScimAttribute): unknown {
  const subAttributes = attribute.subAttributes ?? [];
  if (!isRecord(value)) {
    const sub = named(subAttributes, 'value');
    if (!sub || typeof value === 'boolean' || Array.isArray(value)) {
      throw invalid(attribute, value, 'an object');
    }
    // Entra sends a manager as the plain id, and takes it away as an empty text.
    return value === '' ? undefined : { value: readText(value, sub) };
  }
  const read: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(value)) {
    const sub = named(subAttributes, name);
    // `$ref` is ours to make: kept, it would go on naming what is there no longer.
    if (sub?.mutability !== 'readWrite' || sub.name === '$ref') continue;
    const part = each === null || each === undefined ? undefined : readSingle(each, sub);
    if (part !== undefined) read[sub.name] = part;
  }
  return Object.keys(read).length === 0 ? undefined : read;
}

function readBoolean(value: unknown, attribute: ScimAttribute): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string' && /^(true|false)$/i.test(value.trim())) {
    return value.trim().toLowerCase() === 'true';
  }
  if (isRecord(value) && 'value' in value) return readBoolean(value['value'], attribute);
  throw invalid(attribute, value, 'true or false');
}

function readText(value: unknown, attribute: ScimAttribute): string {
  if (isRecord(value) && 'value' in value) return readText(value['value'], attribute);
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') throw invalid(attribute, value, 'text');
  if (text.length > TEXT_LENGTH_MAX) {
    throw invalid(attribute, `${text.length} characters`, `at most ${TEXT_LENGTH_MAX}`);
  }
  // PostgreSQL takes no text with it, and no name has it.
  if (text.includes('\0')) throw invalid(attribute, text, 'text without NUL');
  return text;
}

function invalid({ name }: ScimAttribute, found: unknown, expected: string) {
  const what = typeof found === 'string' ? found : (JSON.stringify(found) ?? 'nothing');
  return badRequest('invalidValue', `found ${quoted(what)} for ${name}, expected ${expected}`);
}
