import { isDeepStrictEqual } from 'node:util';
import { assertNever } from '@countersign/model';
import { isRecord, type ScimResource } from './attribute-path.ts';
import type { ElementFilter } from './filter.ts';
import { matchesElement } from './match-filter.ts';
import type { PatchOperation } from './patch-operations.ts';
import { ELEMENTS_MAX, readSingle, readValue } from './read-resource.ts';
import { badRequest } from './scim-error.ts';

/**
 * A resource after the operations, in their order (RFC 7644 §3.5.2); what was passed is not changed.
 *
 * @throws {ScimFault} 400 `noTarget` or `invalidValue`: then nothing of the request counts
 */
export function applyPatch(
  resource: ScimResource,
  operations: readonly PatchOperation[],
): ScimResource {
  const next = structuredClone(resource) as Record<string, unknown>;
  for (const operation of operations) applyOperation(next, operation);
  return next;
}

type Container = Record<string, unknown>;
type Element = Record<string, unknown>;

function applyOperation(resource: Container, operation: PatchOperation): void {
  const { op, path, value } = operation;
  const { attribute, sub, extension } = path;
  // A password is kept nowhere.
  if (attribute.mutability === 'writeOnly') return;
  const container = extension === undefined ? resource : partOf(resource, extension);
  if (attribute.multiValued) applyToElements(container, operation);
  else if (op === 'remove') {
    if (sub) removeSub(container, operation);
    else delete container[attribute.name];
  } else if (sub) {
    const whole = { ...(container[attribute.name] as Element | undefined) };
    setSub(whole, operation);
    setOrDelete(container, attribute.name, whole);
  } else {
    const read = readValue(value, attribute);
    const before = container[attribute.name];
    // RFC 7644 §3.5.2.3: sub-attributes that are not named stay as they were.
    if (isRecord(read) && isRecord(before)) container[attribute.name] = { ...before, ...read };
    else setOrDelete(container, attribute.name, read);
  }
  if (extension !== undefined) setOrDelete(resource, extension, container);
}

function partOf(resource: Container, extension: string): Container {
  const part = resource[extension];
  return isRecord(part) ? (part as Container) : {};
}

function removeSub(container: Container, { path: { attribute, sub } }: PatchOperation): void {
  const whole = container[attribute.name];
  if (!isRecord(whole) || !sub) return;
  const { [sub.name]: _, ...rest } = whole;
  setOrDelete(container, attribute.name, rest);
}

function setSub(element: Element, { path: { sub }, value }: PatchOperation): void {
  if (!sub) return;
  const read = value === null || value === undefined ? undefined : readSingle(value, sub);
  if (read === undefined) delete element[sub.name];
  else element[sub.name] = read;
}

function applyToElements(container: Container, operation: PatchOperation): void {
  const { path } = operation;
  const { name } = path.attribute;
  const before = (Array.isArray(container[name]) ? container[name] : []) as readonly Element[];
  const after = onePrimary(elementsAfter(before, operation), before);
  if (after.length > ELEMENTS_MAX) {
    throw badRequest('invalidValue', `found more than ${ELEMENTS_MAX} of ${name}`);
  }
  setOrDelete(container, name, after);
}

function elementsAfter(before: readonly Element[], operation: PatchOperation): Element[] {
  const { op, path, value } = operation;
  const { attribute, filter, sub } = path;
  const isPicked = (element: Element) => !filter || matchesElement(filter, element);
  switch (op) {
    case 'remove': {
      if (sub) {
        return before.map((element) => {
          if (!isPicked(element)) return element;
          const { [sub.name]: _, ...rest } = element;
          return rest;
        });
      }
      if (filter) return before.filter((element) => !isPicked(element));
      // Entra names in `value` what is to go; without, all of it goes.
      const listed = readValue(value, attribute) as readonly Element[] | undefined;
      if (!listed) return [];
      return before.filter((element) => !listed.some((each) => each['value'] === element['value']));
    }
    case 'add':
    case 'replace': {
      if (!filter && !sub) {
        const listed = (readValue(value, attribute) ?? []) as readonly Element[];
        if (op === 'replace') return [...listed];
        const added = listed.filter((each) => !before.some((one) => isDeepStrictEqual(one, each)));
        return [...before, ...added];
      }
      const change = (element: Element): Element => {
        if (sub) {
          const changed = { ...element };
          setSub(changed, operation);
          return changed;
        }
        const read = readSingle(value, attribute) as Element | undefined;
        return op === 'replace' ? { ...read } : { ...element, ...read };
      };
      if (before.some(isPicked)) {
        return before.map((element) => (isPicked(element) ? change(element) : element));
      }
      // RFC 7644 has 400 noTarget for `replace` here. Entra relies on the element being made, and stops the person's job otherwise.
      const seed = filter ? seedOf(filter) : {};
      if (!seed) {
        throw badRequest('noTarget', `found no ${attribute.name} that the filter picks`);
      }
      const made = sub ? change(seed) : { ...seed, ...change(seed) };
      return Object.keys(made).length === 0 ? [...before] : [...before, made];
    }
    default:
      return assertNever(op);
  }
}

/** The element that a filter of equalities describes: `type eq "work"` is `{ type: 'work' }`. */
function seedOf(filter: ElementFilter): Element | undefined {
  if (filter.kind === 'compare') {
    const { sub, comparison, value } = filter;
    return comparison === 'eq' && sub && value !== null ? { [sub.name]: value } : undefined;
  }
  if (filter.kind !== 'and') return undefined;
  const [left, right] = [seedOf(filter.left), seedOf(filter.right)];
  return left && right && { ...left, ...right };
}

/** RFC 7644 §3.5.2: where one becomes the primary, the one before it no longer is. */
function onePrimary(after: Element[], before: readonly Element[]): Element[] {
  const primaries = after.filter(({ primary }) => primary === true);
  if (primaries.length < 2) return after;
  const kept =
    primaries.findLast((each) => !before.some((one) => isDeepStrictEqual(one, each))) ??
    primaries.at(-1);
  return after.map((each) =>
    each['primary'] === true && each !== kept ? { ...each, primary: false } : each,
  );
}

function setOrDelete(container: Container, name: string, value: unknown): void {
  const isEmpty =
    value === undefined ||
    (Array.isArray(value) && value.length === 0) ||
    (isRecord(value) && Object.keys(value).length === 0);
  if (isEmpty) delete container[name];
  else container[name] = value;
}
