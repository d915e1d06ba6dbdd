import type { OperationParameter } from '@countersign/model';
import { describe, listOf, quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import type { Path, SourceDocument } from '../document/source-document.ts';
import { entityTypeOf, isFreeTypeName, TAKEN_TYPES } from './entity-type.ts';
import type { PathTemplate } from './path-template.ts';
import { isMapping, type Mapping, resolveReference } from './resolve-reference.ts';

/** How many parameters an operation may declare, its path's included. */
export const PARAMETERS_MAX = 500;

/** Whether a parameter can have this value. */
export type Admits = (text: string) => boolean;

interface Options {
  readonly document: SourceDocument;
  readonly root: Mapping;
  readonly item: Mapping;
  readonly operation: Mapping;
  /** Of the operation. */
  readonly path: Path;
  readonly template: PathTemplate;
  readonly namespace: string;
  readonly report: Report;
}

/** The path parameters of an operation in the order of the path, with the entity types they name. */
export function readParameters(options: Options): {
  readonly parameters: readonly OperationParameter[];
  readonly values: ReadonlyMap<string, Admits>;
} {
  const declared = declaredParameters(options);
  const values = new Map<string, Admits>();
  const parameters: OperationParameter[] = [];
  for (const segment of options.template.segments) {
    if (segment.kind !== 'parameter') continue;
    const declaration = declared.get(segment.name);
    const entityType = chosenType(segment.name, declaration, options);
    if (entityType !== undefined) parameters.push({ name: segment.name, entityType });
    values.set(segment.name, admitsOf(declaration?.value, options));
  }
  return { parameters, values };
}

interface Declaration {
  readonly value: Mapping;
  readonly path: Path;
}

/** OAS 3.1 §4.8.10.1: an operation's parameter overrides the path's of the same name and place. */
function declaredParameters(options: Options): ReadonlyMap<string, Declaration> {
  const { document, item, operation, path, report } = options;
  const itemPath = path.slice(0, -1);
  const lists = [
    { list: item['parameters'], at: [...itemPath, 'parameters'] },
    { list: operation['parameters'], at: [...path, 'parameters'] },
  ];
  const declared = new Map<string, Declaration>();
  for (const { list, at } of lists) {
    if (list === undefined) continue;
    if (!Array.isArray(list) || list.length > PARAMETERS_MAX) {
      report.error(document.at(at), {
        found: describe(list),
        expected: `a list of at most ${PARAMETERS_MAX} parameters`,
        mend: 'correct it',
      });
      continue;
    }
    for (const [index, raw] of list.entries()) {
      const resolved = resolveReference(raw, { ...options, path: [...at, index] });
      const value = resolved.value;
      if (!isMapping(value) || value['in'] !== 'path' || typeof value['name'] !== 'string')
        continue;
      declared.set(value['name'], { value, path: resolved.path });
    }
  }
  return declared;
}

function chosenType(
  name: string,
  declaration: Declaration | undefined,
  options: Options,
): string | undefined {
  const { document, path, report } = options;
  const chosen = declaration?.value['x-countersign-entity'];
  if (declaration && chosen !== undefined) {
    if (typeof chosen === 'string' && isFreeTypeName(chosen)) return chosen;
    report.error(document.at([...declaration.path, 'x-countersign-entity']), {
      found: describe(chosen),
      expected: `a name of letters and digits, and none of ${listOf(TAKEN_TYPES)}`,
      mend: 'choose another name for the entity type',
    });
    return undefined;
  }
  const derived = entityTypeOf(name, options);
  if (derived === undefined) {
    report.error(declaration ? document.at(declaration.path) : document.atKey(path.slice(0, -1)), {
      found: `path parameter ${quote(name)}`,
      expected: 'a name that an entity type can be made of',
      mend: "add 'x-countersign-entity: Account', with what the parameter names, to the parameter",
    });
  }
  return derived;
}

/** What a parameter's schema says of its values: enough to tell a literal segment from a value. */
function admitsOf(declaration: Mapping | undefined, options: Options): Admits {
  const { value: schema } = resolveReference(declaration?.['schema'], options);
  if (!isMapping(schema)) return () => true;
  const values = schema['enum'];
  if (Array.isArray(values)) return (text) => values.map(String).includes(text);
  switch (schema['type']) {
    case 'integer':
      return (text) => /^-?[0-9]+$/.test(text);
    case 'number':
      return (text) => /^-?[0-9]/.test(text);
    case 'boolean':
      return (text) => text === 'true' || text === 'false';
    default:
      // RFC 9562 §4. `pattern` is left alone: running a stranger's expression is not worth it here.
      if (schema['format'] === 'uuid') return (text) => /^[0-9a-fA-F-]{36}$/.test(text);
      return () => true;
  }
}
