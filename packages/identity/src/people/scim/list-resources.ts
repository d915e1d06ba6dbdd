import { setImmediate as nextTurn } from 'node:timers/promises';
import { assertNever } from '@countersign/model';
import {
  type AttributePath,
  findAttribute,
  type ScimResource,
  valuesAt,
} from './attribute-path.ts';
import type { Filter } from './filter.ts';
import { matchesFilter } from './match-filter.ts';
import { parseFilter } from './parse-filter.ts';
import { projection } from './projection.ts';
import { badRequest, quoted, ScimFault } from './scim-error.ts';
import type { ResourceType } from './scim-schemas.ts';

/** Resources in one answer (RFC 7644 §3.4.2.4); `count` may ask for less. */
export const PAGE_MAX = 1000;
const PAGE_DEFAULT = 100;
/** Resources read at once where all are looked at; others get their turn between two such readings. */
const SCAN_ROWS = 200;

/** The query of `GET /Users` and `GET /Groups`, as it came. */
export interface Query {
  readonly filter?: string;
  readonly sortBy?: string;
  readonly sortOrder?: string;
  readonly startIndex?: string;
  readonly count?: string;
  readonly attributes?: string;
  readonly excludedAttributes?: string;
}

/** One page (RFC 7644 §3.4.2). */
export interface Listing {
  readonly totalResults: number;
  readonly startIndex: number;
  readonly resources: readonly ScimResource[];
}

/** How a kind of resource is read. */
export interface Listed<Row> {
  readonly type: ResourceType;
  /** Columns by which one attribute alone finds resources. */
  readonly indexed: Readonly<Record<string, string>>;
  readonly fold: (attribute: string, value: string) => string;
  readonly count: (where?: Where) => Promise<number>;
  readonly page: (
    where: Where | undefined,
    page: { readonly offset: number; readonly limit: number },
  ) => Promise<readonly Entry<Row>[]>;
  readonly resources: (
    rows: readonly Entry<Row>[],
    wants: (attribute: string) => boolean,
  ) => Promise<readonly ScimResource[]>;
}

/** A column and what it must be. */
export interface Where {
  readonly column: string;
  readonly value: string;
}

interface Entry<Row> {
  readonly id: string;
  readonly row: Row;
}

/**
 * Answers a query. Resources come in the order in which they were made, unless `sortBy` says otherwise: what is made while a client
 * turns pages comes at the end.
 *
 * @throws {ScimFault} 400 `invalidFilter`, `invalidPath`, `invalidValue`
 */
export async function listResources<Row>(query: Query, listed: Listed<Row>): Promise<Listing> {
  const { type } = listed;
  const filter = query.filter?.trim() ? parseFilter(query.filter, type) : undefined;
  const sort = sortOf(query, type);
  const startIndex = Math.max(1, wholeNumber('startIndex', query.startIndex, 1));
  const limit = Math.min(PAGE_MAX, Math.max(0, wholeNumber('count', query.count, PAGE_DEFAULT)));
  const shape = projection(query, type);
  const shaped = async (rows: readonly Entry<Row>[]) =>
    (await listed.resources(rows, (name) => shape.wants(name))).map((each) => shape.of(each));

  const where = filter && indexedTerm(filter, listed);
  if (!sort && (!filter || where?.isWhole)) {
    const totalResults = await listed.count(where);
    const rows = limit === 0 ? [] : await listed.page(where, { offset: startIndex - 1, limit });
    return { totalResults, startIndex, resources: await shaped(rows) };
  }

  const wants = (name: string) => (filter ? mentions(filter, name) : false) || sort?.name === name;
  const picked: { entry: Entry<Row>; key: unknown }[] = [];
  for (let offset = 0; ; offset += SCAN_ROWS) {
    const rows = await listed.page(where, { offset, limit: SCAN_ROWS });
    const resources = await listed.resources(rows, wants);
    for (const [index, entry] of rows.entries()) {
      const resource = resources[index];
      if (!resource || (filter && !matchesFilter(filter, resource))) continue;
      picked.push({ entry, key: sort ? sortKey(resource, sort.path) : undefined });
    }
    if (rows.length < SCAN_ROWS) break;
    await nextTurn();
  }
  if (sort) picked.sort((a, b) => compare(a.key, b.key) * (sort.isDescending ? -1 : 1));
  const rows = picked.slice(startIndex - 1, startIndex - 1 + limit).map(({ entry }) => entry);
  return { totalResults: picked.length, startIndex, resources: await shaped(rows) };
}

/** Whether answering takes a look at every resource. */
export function isScan(query: Query, type: ResourceType, indexed: readonly string[]): boolean {
  if (query.sortBy) return true;
  if (!query.filter?.trim()) return false;
  const columns = Object.fromEntries(indexed.map((name) => [name, name]));
  return !indexedTerm(parseFilter(query.filter, type), { indexed: columns, fold: (_, v) => v });
}

/** @throws {ScimFault} 412 when the client has not seen the last change (RFC 7644 §3.14) */
export function assertVersion(version: number, ifMatch: string | undefined): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const wanted = ifMatch.split(',').map((each) => each.trim().replace(/^W\//, ''));
  if (!wanted.includes(`"${version}"`)) {
    throw new ScimFault(412, `found version ${version}, expected ${quoted(ifMatch)}`);
  }
}

/** A term that a column answers; `isWhole` when it is the whole filter, else the rest is looked at. */
function indexedTerm(
  filter: Filter,
  listed: Pick<Listed<unknown>, 'indexed' | 'fold'>,
): (Where & { readonly isWhole: boolean }) | undefined {
  if (filter.kind === 'and') {
    const term = indexedTerm(filter.left, listed) ?? indexedTerm(filter.right, listed);
    return term && { ...term, isWhole: false };
  }
  if (filter.kind !== 'compare' || filter.comparison !== 'eq') return undefined;
  const { path, value } = filter;
  if (!path || path.sub || path.extension !== undefined || typeof value !== 'string') {
    return undefined;
  }
  const { name } = path.attribute;
  const column = Object.hasOwn(listed.indexed, name) ? listed.indexed[name] : undefined;
  return column === undefined
    ? undefined
    : { column, value: listed.fold(name, value), isWhole: true };
}

function mentions(filter: Filter, name: string): boolean {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return mentions(filter.left, name) || mentions(filter.right, name);
    case 'not':
      return mentions(filter.filter, name);
    case 'present':
    case 'compare':
    case 'element':
      return filter.path?.attribute.name === name;
    default:
      return assertNever(filter);
  }
}

function sortOf(
  { sortBy, sortOrder }: Query,
  type: ResourceType,
): { path: AttributePath; name: string; isDescending: boolean } | undefined {
  if (!sortBy) return undefined;
  const path = findAttribute(sortBy, type);
  if (!path) throw badRequest('invalidPath', `found no attribute ${quoted(sortBy)} to sort by`);
  return {
    path,
    name: path.attribute.name,
    isDescending: sortOrder?.toLowerCase() === 'descending',
  };
}

/** RFC 7644 §3.4.2.3: of several values the primary, or else the first. */
function sortKey(resource: ScimResource, path: AttributePath): unknown {
  const leaf = path.sub ?? path.attribute;
  const container = path.extension ? (resource[path.extension] as ScimResource) : resource;
  const list = container?.[path.attribute.name];
  const primary = Array.isArray(list)
    ? list.find((each: { primary?: unknown }) => each?.primary === true)
    : undefined;
  const [value] = valuesAt(
    primary
      ? {
          ...(path.extension
            ? { [path.extension]: { [path.attribute.name]: primary } }
            : { [path.attribute.name]: primary }),
        }
      : resource,
    path,
  );
  return typeof value === 'string' && !leaf.caseExact ? value.toLowerCase() : value;
}

/** What has no value comes last when it goes up (RFC 7644 §3.4.2.3). */
function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  const [left, right] = typeof a === typeof b ? [a, b] : [String(a), String(b)];
  return (left as string) < (right as string) ? -1 : (left as string) > (right as string) ? 1 : 0;
}

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise;
  if (!/^-?[0-9]{1,9}$/.test(text)) {
    throw badRequest('invalidValue', `found ${name} ${quoted(text)}, expected a whole number`);
  }
  return Number(text);
}
