import {
  type DetailField,
  type DetailType,
  type Operation,
  POSTURE_SIGNALS,
  PURPOSE_TYPE,
  SUBJECT_KINDS,
  type Surface,
  subjectTypeName,
} from '@countersign/model';
import { ACTION_GROUPS } from '../openapi/read-api-description.ts';
import { type Declaration, splitDeclarations } from './declarations.ts';
import { type ComposedSchema, composePieces, type SchemaPiece } from './schema-text.ts';

/** The entity types that a principal can have. */
export const PRINCIPAL_TYPES: readonly string[] = SUBJECT_KINDS.map(subjectTypeName);

/**
 * What every policy may ask of a request; `decision` fills it. Declared once as a common type,
 * because a surface may have hundreds of actions.
 */
const requestContext = (details: readonly DetailType[]) => `type RequestContext = {
  scopes: Set<String>,
  keyProof: String,
  time: datetime,
  ip: ipaddr,
  risk: String,
  acr?: String,
  amr?: Set<String>,
  authTime?: datetime,
  session?: String,
  purpose?: String,
${detailsText(details)}  caller?: Workload,
  device?: {
    id: Device,
    proof: String,
    ownership: String,
    owner?: Human,
    posture: { ${POSTURE_SIGNALS.map((signal) => `${signal}: String`).join(', ')} },
    score?: Long
  },
  actors: Set<Agent>,
  actingPartners?: Set<Partner>,
  actingWorkloads?: Set<Workload>,
  transaction?: { id: String, requestingWorkload: Workload },
};
`;

/** What was authorised in detail, by type; a purpose stands in `purpose`. */
function detailsText(types: readonly DetailType[]): string {
  const members = types
    .filter(({ type }) => type !== PURPOSE_TYPE)
    .map(
      ({ type, fields, content }) =>
        `${type}?: ${recordText(content ? { ...fields, contentDigest: TEXT } : fields)}`,
    );
  if (members.length === 0) return '';
  return `  authorizationDetails?: { ${members.join(', ')} },\n  contentDigest?: String,\n`;
}

const TEXT: DetailField = { label: '', kind: 'text', isOptional: false };

function recordText(fields: Readonly<Record<string, DetailField>>): string {
  const members = Object.entries(fields).map(
    ([name, field]) => `${name}${field.isOptional ? '?' : ''}: ${fieldText(field)}`,
  );
  return `{ ${members.join(', ')} }`;
}

function fieldText({ kind, fields = {} }: DetailField): string {
  switch (kind) {
    case 'record':
      return recordText(fields);
    case 'decimal':
      return 'decimal';
    case 'integer':
      return 'Long';
    default:
      return 'String';
  }
}

/**
 * The Cedar schema (text form) of a repository: subjects, and for each surface a namespace with its
 * entity types and an action for each operation, in the groups `read` and `write`.
 *
 * @param handWritten `policies/schema.cedarschema`: what it declares replaces the default of that
 * type (`entity Partner in [Group] = { accounts: Set<Accounts::Account> };`); the parents that requests
 * bring are added to those it names. What it declares in a surface's namespace joins that namespace.
 * @returns text that may be wrong where `handWritten` is: Cedar says so when it is loaded
 */
export function generateSchema(
  surfaces: readonly Surface[],
  handWritten?: string,
  details?: readonly DetailType[],
): string {
  return composeSchema(surfaces, handWritten, details).text;
}

/** {@link generateSchema}, remembering what came from the hand-written part. */
export function composeSchema(
  surfaces: readonly Surface[],
  handWritten = '',
  details: readonly DetailType[] = [],
): ComposedSchema {
  const declarations = splitDeclarations(handWritten);
  const namespaces = new Map<string, SchemaPiece[]>();
  const into = (namespace: string) => {
    const pieces = namespaces.get(namespace) ?? [];
    namespaces.set(namespace, pieces);
    return pieces;
  };
  into('').push({ text: requestContext(details) });
  const expected = expectedEntities(surfaces);
  const declared = new Set<string>();
  for (const declaration of declarations) {
    for (const name of declaration.entityNames) declared.add(qualify(declaration.namespace, name));
    into(declaration.namespace).push(...handWrittenPieces(declaration, expected));
  }
  for (const [name, { namespace, parents }] of expected) {
    if (declared.has(name)) continue;
    const plain = name.slice(namespace === '' ? 0 : namespace.length + 2);
    into(namespace).push({ text: `entity ${plain}${parentsText(parents)};\n` });
  }
  for (const surface of surfaces) {
    into(surface.namespace).push(
      ...ACTION_GROUPS.map((group) => ({ text: `action "${group}";\n` })),
      ...surface.operations.map((operation) => ({ text: actionText(operation) })),
    );
  }
  return composePieces(
    [...namespaces].flatMap(([namespace, pieces]) =>
      namespace === ''
        ? pieces
        : [{ text: `namespace ${namespace} {\n` }, ...pieces, { text: '}\n' }],
    ),
  );
}

export interface ExpectedEntity {
  readonly namespace: string;
  readonly parents: Set<string>;
}

/** The types that requests bring, by full name, with the parents that requests bring. */
export function expectedEntities(
  surfaces: readonly Surface[],
): ReadonlyMap<string, ExpectedEntity> {
  const expected = new Map<string, ExpectedEntity>();
  for (const type of PRINCIPAL_TYPES) {
    expected.set(type, { namespace: '', parents: new Set(['Group', 'Role']) });
  }
  expected.set('Group', { namespace: '', parents: new Set(['Group']) });
  expected.set('Role', { namespace: '', parents: new Set(['Role']) });
  expected.set('Surface', { namespace: '', parents: new Set() });
  for (const { namespace, operations } of surfaces) {
    for (const { parameters } of operations) {
      for (const [index, { entityType }] of parameters.entries()) {
        const name = qualify(namespace, entityType);
        const entity = expected.get(name) ?? { namespace, parents: new Set() };
        expected.set(name, entity);
        for (const outer of parameters.slice(0, index)) entity.parents.add(outer.entityType);
        entity.parents.add('Surface');
      }
    }
  }
  return expected;
}

function handWrittenPieces(
  declaration: Declaration,
  expected: ReadonlyMap<string, ExpectedEntity>,
): SchemaPiece[] {
  const { entity, namespace, text, start } = declaration;
  if (!entity) return [{ text, origin: start }, { text: '\n' }];
  return declaration.entityNames.flatMap((name) => {
    const brought = expected.get(qualify(namespace, name))?.parents ?? [];
    const parents = new Set([...entity.parents, ...brought]);
    return [
      // The header is ours, but a fault in it (a parent that is not declared) is theirs.
      { text: `${entity.annotations}entity ${name}${parentsText(parents)} `, origin: start },
      { text: text.slice(entity.restAt), origin: start + entity.restAt },
      { text: '\n' },
    ];
  });
}

function actionText(operation: Operation): string {
  const resource = operation.parameters.at(-1)?.entityType ?? 'Surface';
  const group = operation.isStateChanging ? 'write' : 'read';
  // The operationId was parsed without quotes, backslashes and control characters: no escapes.
  return `action "${operation.id}" in ["${group}"] appliesTo { principal: [${PRINCIPAL_TYPES.join(', ')}], resource: [${resource}], context: RequestContext };\n`;
}

function parentsText(parents: ReadonlySet<string>): string {
  return parents.size === 0 ? '' : ` in [${[...parents].join(', ')}]`;
}

function qualify(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}::${name}`;
}
