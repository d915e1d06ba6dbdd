import type { Model, ModelRecord, ModelType } from './model.ts';
import { isIdentifier, quote, uidText } from './write-text.ts';

/** The model as a schema in Cedar's own syntax. Every name is written in full. */
export function writeSchema(model: Model): string {
  const byNamespace = new Map<string, string[]>();
  const add = (namespace: string, line: string) => {
    const lines = byNamespace.get(namespace);
    if (lines) lines.push(line);
    else byNamespace.set(namespace, [line]);
  };
  const common = new Map(model.commonTypes.map(({ name, type }) => [type, name]));

  for (const { name, type } of model.commonTypes) {
    const [namespace, base] = split(name);
    // A common type may use another, but not itself.
    const others = new Map([...common].filter(([each]) => each !== type));
    add(namespace, `type ${base} = ${typeText(type, others)};`);
  }
  for (const entity of model.entityTypes) {
    const [namespace, base] = split(entity.name);
    if (entity.enumIds) {
      add(namespace, `entity ${base} enum [${entity.enumIds.map((id) => quote(id)).join(', ')}];`);
      continue;
    }
    const parents = entity.memberOf.length > 0 ? ` in [${entity.memberOf.join(', ')}]` : '';
    const tags = entity.tags ? ` tags ${typeText(entity.tags, common)}` : '';
    add(namespace, `entity ${base}${parents} ${recordText(entity.shape, common)}${tags};`);
  }
  for (const action of model.actions) {
    const [namespace] = split(action.uid.type);
    const groups =
      action.memberOf.length > 0
        ? ` in [${action.memberOf
            .map((uid) => (uid.type === action.uid.type ? quote(uid.id) : uidText(uid)))
            .join(', ')}]`
        : '';
    const applies =
      action.principals.length > 0
        ? ` appliesTo { principal: [${action.principals.join(', ')}], resource: [${action.resources.join(', ')}], context: ${recordText(action.context, common)} }`
        : '';
    add(namespace, `action ${quote(action.uid.id)}${groups}${applies};`);
  }

  return [...byNamespace]
    .map(([namespace, lines]) =>
      namespace === ''
        ? lines.join('\n')
        : `namespace ${namespace} {\n${lines.map((line) => `  ${line}`).join('\n')}\n}`,
    )
    .join('\n');
}

function typeText(type: ModelType, common: ReadonlyMap<ModelType, string>): string {
  const name = common.get(type);
  if (name !== undefined) return name;
  switch (type.kind) {
    case 'boolean':
      return 'Bool';
    case 'long':
      return 'Long';
    case 'string':
      return 'String';
    case 'entity':
      return type.name;
    case 'set':
      return `Set<${typeText(type.element, common)}>`;
    case 'record':
      return recordText(type, common);
    default:
      return type.kind;
  }
}

function recordText(record: ModelRecord, common: ReadonlyMap<ModelType, string>): string {
  const fields = record.fields.map((field) => {
    const name = isIdentifier(field.name) ? field.name : quote(field.name);
    return `${name}${field.isRequired ? '' : '?'}: ${typeText(field.type, common)}`;
  });
  return `{ ${fields.join(', ')} }`;
}

/** `A::B::C` is `C` in the namespace `A::B`. */
function split(name: string): readonly [namespace: string, base: string] {
  const at = name.lastIndexOf('::');
  return at < 0 ? ['', name] : [name.slice(0, at), name.slice(at + 2)];
}
