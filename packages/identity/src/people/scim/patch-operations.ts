import { findAttribute, isRecord } from './attribute-path.ts';
import { type PatchPath, parsePatchPath } from './parse-filter.ts';
import { badRequest, quoted } from './scim-error.ts';
import type { ResourceType } from './scim-schemas.ts';

/** Operations of one request; a group of thousands may come as one operation each. */
const OPERATIONS_MAX = 10_000;
const PATCH_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

/** One operation on one attribute. */
export interface PatchOperation {
  readonly op: 'add' | 'remove' | 'replace';
  readonly path: PatchPath;
  readonly value: unknown;
}

/**
 * Reads the body of a PATCH (RFC 7644 §3.5.2), at most 10,000 operations. Operations without a path become one for each attribute of
 * their value, whose names may be paths themselves (`name.givenName`, as Entra sends them).
 *
 * @throws {ScimFault} 400 `invalidSyntax`, `invalidPath`, `noTarget` or `mutability`
 */
export function readPatch(body: unknown, type: ResourceType): readonly PatchOperation[] {
  const operations = isRecord(body) ? memberOf(body, 'Operations') : undefined;
  const schemas = isRecord(body) ? memberOf(body, 'schemas') : undefined;
  if (!Array.isArray(operations) || operations.length === 0) {
    throw badRequest('invalidSyntax', 'found no Operations, expected a list of them');
  }
  if (Array.isArray(schemas) && !schemas.some((each) => sameText(each, PATCH_SCHEMA))) {
    throw badRequest('invalidSyntax', `found other schemas, expected ${PATCH_SCHEMA}`);
  }
  if (operations.length > OPERATIONS_MAX) {
    throw badRequest(
      'invalidSyntax',
      `found ${operations.length} operations, expected at most ${OPERATIONS_MAX}`,
    );
  }
  const read = operations.flatMap((operation) => readOperation(operation, type));
  if (read.length > OPERATIONS_MAX) {
    throw badRequest('invalidSyntax', `expected at most ${OPERATIONS_MAX} attributes`);
  }
  return read;
}

function readOperation(operation: unknown, type: ResourceType): readonly PatchOperation[] {
  if (!isRecord(operation))
    throw badRequest('invalidSyntax', 'found an operation that is no object');
  // Entra capitalises: Add, Replace, Remove.
  const op = String(memberOf(operation, 'op') ?? '').toLowerCase();
  if (op !== 'add' && op !== 'remove' && op !== 'replace') {
    throw badRequest('invalidSyntax', `found op ${quoted(op)}, expected add, remove or replace`);
  }
  const path = memberOf(operation, 'path');
  const value = memberOf(operation, 'value');
  if (path !== undefined && path !== null && path !== '') {
    if (typeof path !== 'string') throw badRequest('invalidPath', 'found a path that is no text');
    return [writable({ op, path: parsePatchPath(path, type), value })];
  }
  if (op === 'remove') throw badRequest('noTarget', 'found remove without a path');
  if (!isRecord(value)) throw badRequest('invalidSyntax', `found ${op} without path and object`);
  return Object.entries(value).flatMap(([name, each]): PatchOperation[] => {
    const extension = type.extensions.find(({ id }) => id.toLowerCase() === name.toLowerCase());
    if (extension) {
      if (!isRecord(each)) throw badRequest('invalidSyntax', `found no object for ${quoted(name)}`);
      return Object.entries(each).map(([inner, part]) =>
        writable({ op, path: parsePatchPath(`${extension.id}:${inner}`, type), value: part }),
      );
    }
    const found = findAttribute(name, type);
    // Okta sends a group's `id` along with its new name.
    if (found && ['id', 'schemas', 'meta', 'groups'].includes(found.attribute.name)) return [];
    if (found?.attribute.mutability === 'writeOnly') return [];
    return [writable({ op, path: parsePatchPath(name, type), value: each })];
  });
}

/** RFC 7644 §3.5.2: an operation on what is read-only is refused. */
function writable(operation: PatchOperation): PatchOperation {
  const { attribute, sub } = operation.path;
  if (attribute.mutability === 'readOnly' || sub?.mutability === 'readOnly') {
    throw badRequest('mutability', `found an operation on ${attribute.name}, which is read-only`);
  }
  return operation;
}

function memberOf(record: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  const key = Object.keys(record).find((each) => sameText(each, name));
  return key === undefined ? undefined : record[key];
}

function sameText(a: unknown, b: string): boolean {
  return typeof a === 'string' && a.toLowerCase() === b.toLowerCase();
}
