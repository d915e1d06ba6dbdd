import type { Operation } from '@countersign/model';
import { describe, quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import type { Path, SourceDocument } from '../document/source-document.ts';
import { reportAmbiguities } from './ambiguity.ts';
import { type Admits, readParameters } from './parameters.ts';
import { type PathTemplate, parsePathTemplate } from './path-template.ts';
import { isMapping, type Mapping, resolveReference } from './resolve-reference.ts';
import { readScopes, reportAlternatives } from './security.ts';

/** How many operations one surface may have. */
export const OPERATIONS_MAX = 5000;

/** OAS 3.1 §4.8.9.1, the fixed fields of a path item that are operations. */
export const METHODS = [
  'get',
  'put',
  'post',
  'delete',
  'options',
  'head',
  'patch',
  'trace',
] as const;
/** RFC 9110 §9.2.1 */
export const SAFE_METHODS: readonly string[] = ['get', 'head', 'options', 'trace'];
/** What an operation may be called. */
export const OPERATION_ID = /^[^\p{C}"\\]{1,200}$/u;
/** The action groups that every surface has; an operation of that name would be the group. */
export const ACTION_GROUPS = ['read', 'write'] as const;

/**
 * Reads the operations of an OpenAPI 3.0 or 3.1 description, in its order.
 *
 * An operation without a usable operationId is an error and left out. Templates that could both
 * match one request are an error, because no rule says which would be meant.
 *
 * @param namespace of the surface, for entity types whose plain name is taken
 * @see OpenAPI Specification 3.1.1, §4.8.8 to §4.8.10
 */
export function readApiDescription(
  document: SourceDocument,
  options: { readonly namespace: string; readonly report: Report },
): readonly Operation[] {
  const { report } = options;
  const root = document.value;
  if (!isMapping(root) || !hasKnownVersion(document, root, report)) return [];
  const paths = root['paths'];
  if (!isMapping(paths)) {
    report.error(document.at(['paths']), {
      found: describe(paths),
      expected: "'paths': a mapping from paths to operations",
      mend: "add 'paths'",
    });
    return [];
  }
  const found: FoundOperation[] = [];
  const alternatives: Path[] = [];
  for (const [text, item] of Object.entries(paths)) {
    if (text.startsWith('x-')) continue;
    found.push(...readPathItem(item, { ...options, document, root, text, alternatives }));
  }
  reportAlternatives(document, alternatives, report);
  reportDuplicateIds(document, found, report, (path) => [...path, 'operationId']);
  reportAmbiguities(document, found, report);
  return found.slice(0, OPERATIONS_MAX).map(({ operation }) => operation);
}

/** An operation with what only this check needs of it. */
export interface FoundOperation {
  readonly operation: Operation;
  readonly template: PathTemplate;
  /** What its schema confines a parameter to, by its name. */
  readonly values: ReadonlyMap<string, Admits>;
  readonly path: Path;
}

interface PathItemOptions {
  readonly document: SourceDocument;
  readonly root: Mapping;
  readonly text: string;
  readonly namespace: string;
  readonly report: Report;
  /** Collects where several alternative security requirements stand. */
  readonly alternatives: Path[];
}

function readPathItem(raw: unknown, options: PathItemOptions): FoundOperation[] {
  const { document, root, text, report } = options;
  const itemPath = ['paths', text];
  const { value: item } = resolveReference(raw, { root, document, path: itemPath, report });
  const template = parsePathTemplate(text);
  if (typeof template === 'string') {
    report.error(document.atKey(itemPath), {
      found: `path ${quote(text)}`,
      expected: template,
      mend: 'correct the path; a parameter is a whole segment, such as /accounts/{AccountId}',
    });
    return [];
  }
  if (!isMapping(item)) {
    report.error(document.at(itemPath), {
      found: describe(item),
      expected: 'a mapping from methods to operations',
      mend: 'correct or remove the path',
    });
    return [];
  }
  return METHODS.flatMap((method) => {
    if (!(method in item)) return [];
    const operation = readOperation(item, { ...options, method, template });
    return operation ? [operation] : [];
  });
}

function readOperation(
  item: Mapping,
  options: PathItemOptions & { method: (typeof METHODS)[number]; template: PathTemplate },
): FoundOperation | undefined {
  const { document, text, method, template, report } = options;
  const path = ['paths', text, method];
  const value = item[method];
  const id = isMapping(value) ? value['operationId'] : undefined;
  if (!isMapping(value) || typeof id !== 'string' || !OPERATION_ID.test(id)) {
    report.error(
      isMapping(value) && id !== undefined
        ? document.at([...path, 'operationId'])
        : document.atKey(path),
      {
        found:
          id === undefined ? `no 'operationId' at ${method.toUpperCase()} ${text}` : describe(id),
        expected: 'an operationId: policies call the operation by it',
        mend: `add 'operationId: ${proposedId(method, template)}'`,
      },
    );
    return undefined;
  }
  if ((ACTION_GROUPS as readonly string[]).includes(id)) {
    report.error(document.at([...path, 'operationId']), {
      found: quote(id),
      expected: `an operationId other than ${ACTION_GROUPS.join(' and ')}, which name groups of actions`,
      mend: `rename it, for example '${proposedId(method, template)}'`,
    });
    return undefined;
  }
  const { parameters, values } = readParameters({ ...options, item, operation: value, path });
  return {
    operation: {
      id,
      method: method.toUpperCase(),
      path: text,
      parameters,
      scopes: readScopes(value, { ...options, path }),
      isStateChanging: !SAFE_METHODS.includes(method),
    },
    template,
    values,
    path,
  };
}

function hasKnownVersion(document: SourceDocument, root: Mapping, report: Report): boolean {
  const version = root['openapi'];
  if (typeof version === 'string' && /^3\.[01]\.\d+/.test(version)) return true;
  report.error(document.at(['openapi']), {
    found:
      'swagger' in root ? `swagger ${describe(root['swagger'])}` : `openapi ${describe(version)}`,
    expected: 'openapi 3.0.x or 3.1.x',
    mend: 'convert the description to OpenAPI 3.1',
  });
  return false;
}

/** @param at where the name stands, from where the operation does */
export function reportDuplicateIds(
  document: SourceDocument,
  found: readonly FoundOperation[],
  report: Report,
  at: (path: Path) => Path = (path) => path,
): void {
  const first = new Map<string, Operation>();
  for (const { operation, path } of found) {
    const other = first.get(operation.id);
    if (other) {
      report.error(document.at(at(path)), {
        found: `operationId ${quote(operation.id)} a second time`,
        expected: `a name of its own: ${other.method} ${other.path} has this one`,
        mend: 'rename one of the two',
      });
    } else {
      first.set(operation.id, operation);
    }
  }
  if (found.length > OPERATIONS_MAX) {
    report.error(document.at(['paths']), {
      found: `${found.length} operations`,
      expected: `at most ${OPERATIONS_MAX}`,
      mend: 'split the surface',
    });
  }
}

/** `GET /v2/list-info/{id}` becomes `getV2ListInfoById`. */
function proposedId(method: string, template: PathTemplate): string {
  const words = template.segments.map((segment) =>
    segment.kind === 'parameter' ? `-by-${segment.name}` : `-${segment.text}`,
  );
  return [method, ...words]
    .join('')
    .replace(/[^A-Za-z0-9]+(.)?/g, (_, next?: string) => next?.toUpperCase() ?? '');
}
