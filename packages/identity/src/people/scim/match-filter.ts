import { assertNever } from '@countersign/model';
import { isRecord, type ScimResource, valuesAt } from './attribute-path.ts';
import type { Comparison, ElementFilter, Filter, FilterValue } from './filter.ts';
import type { ScimAttribute } from './scim-schemas.ts';

/**
 * Whether a resource is one that the filter picks (RFC 7644 §3.4.2.2). Of a multi-valued attribute one value is enough. What is not
 * there equals `null`, differs from everything else, and matches no other comparison.
 */
export function matchesFilter(filter: Filter, resource: ScimResource): boolean {
  switch (filter.kind) {
    case 'and':
      return matchesFilter(filter.left, resource) && matchesFilter(filter.right, resource);
    case 'or':
      return matchesFilter(filter.left, resource) || matchesFilter(filter.right, resource);
    case 'not':
      return !matchesFilter(filter.filter, resource);
    case 'present':
      return thereOf(filter.path, resource).some(isThere);
    case 'compare':
      return compares(
        (filter.value === null ? thereOf : valuesOf)(filter.path, resource),
        filter,
        filter.path?.sub ?? valueAttribute(filter.path?.attribute),
      );
    case 'element':
      return elementsOf(filter.path, resource).some(
        (element) =>
          matchesElement(filter.filter, element) &&
          (filter.and === undefined || matchesElement(filter.and, element)),
      );
    default:
      return assertNever(filter);
  }
}

/** Whether one element of a multi-valued attribute is picked by what stands in brackets. */
export function matchesElement(filter: ElementFilter, element: ScimResource): boolean {
  switch (filter.kind) {
    case 'and':
      return matchesElement(filter.left, element) && matchesElement(filter.right, element);
    case 'or':
      return matchesElement(filter.left, element) || matchesElement(filter.right, element);
    case 'not':
      return !matchesElement(filter.filter, element);
    case 'present':
      return leafOf(filter.sub, element).some(isThere);
    case 'compare':
      return compares(leafOf(filter.sub, element), filter, filter.sub);
    default:
      return assertNever(filter);
  }
}

type Path = Extract<Filter, { kind: 'present' }>['path'];

function valuesOf(path: Path, resource: ScimResource): readonly unknown[] {
  return path ? valuesAt(resource, path) : [];
}

/** What is there of an attribute: `name pr` asks for the whole of it, not for a `value`. */
function thereOf(path: Path, resource: ScimResource): readonly unknown[] {
  return path?.attribute.type === 'complex' && !path.sub
    ? elementsOf(path, resource).filter((element) => Object.keys(element).length > 0)
    : valuesOf(path, resource);
}

function elementsOf(path: Path, resource: ScimResource): readonly ScimResource[] {
  if (!path) return [];
  const container = path.extension === undefined ? resource : resource[path.extension];
  const value = isRecord(container) ? container[path.attribute.name] : undefined;
  return (Array.isArray(value) ? value : [value]).filter(isRecord);
}

function leafOf(sub: ScimAttribute | undefined, element: ScimResource): readonly unknown[] {
  const value = sub && element[sub.name];
  return value === undefined || value === null ? [] : [value];
}

/** How a complex attribute is compared: as its `value`. */
function valueAttribute(attribute: ScimAttribute | undefined): ScimAttribute | undefined {
  return attribute?.type === 'complex'
    ? attribute.subAttributes?.find(({ name }) => name === 'value')
    : attribute;
}

function isThere(value: unknown): boolean {
  return value !== '';
}

interface Asked {
  readonly comparison: Comparison;
  readonly value: FilterValue;
}

function compares(
  values: readonly unknown[],
  { comparison, value }: Asked,
  attribute: ScimAttribute | undefined,
): boolean {
  if (value === null) {
    if (comparison === 'eq') return values.length === 0;
    return comparison === 'ne' && values.length > 0;
  }
  if (comparison === 'ne' && values.length === 0) return true;
  return values.some((each) => holds(comparison, plain(each, attribute), plain(value, attribute)));
}

/** As it is compared: moments as numbers, text without case where the schema says so. */
function plain(value: unknown, attribute: ScimAttribute | undefined): unknown {
  if (typeof value !== 'string') return value;
  if (attribute?.type === 'dateTime') {
    const ms = Date.parse(value);
    return Number.isNaN(ms) ? value : ms;
  }
  return attribute?.caseExact ? value : value.toLowerCase();
}

function holds(comparison: Comparison, left: unknown, right: unknown): boolean {
  switch (comparison) {
    case 'eq':
      return left === right;
    case 'ne':
      return left !== right;
    case 'co':
      return areTexts(left, right) && String(left).includes(String(right));
    case 'sw':
      return areTexts(left, right) && String(left).startsWith(String(right));
    case 'ew':
      return areTexts(left, right) && String(left).endsWith(String(right));
    case 'gt':
      return order(left, right) > 0;
    case 'ge':
      return order(left, right) >= 0;
    case 'lt':
      return order(left, right) < 0;
    case 'le':
      return order(left, right) <= 0;
    default:
      return assertNever(comparison);
  }
}

function areTexts(left: unknown, right: unknown): boolean {
  return typeof left === 'string' && typeof right === 'string';
}

/** Below, equal, above; NaN for what has no order, which is neither. */
function order(left: unknown, right: unknown): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left !== 'string' || typeof right !== 'string') return Number.NaN;
  return left < right ? -1 : left > right ? 1 : 0;
}
