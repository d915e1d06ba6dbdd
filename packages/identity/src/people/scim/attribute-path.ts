import { COMMON_ATTRIBUTES, type ResourceType, type ScimAttribute } from './scim-schemas.ts';

/** A resource as JSON has it, with attribute names in the spelling of the schema. */
export type ScimResource = Readonly<Record<string, unknown>>;

/** Where a value stands: in the core of a resource, or in the extension of that URN. */
export interface AttributePath {
  readonly extension?: string;
  readonly attribute: ScimAttribute;
  readonly sub?: ScimAttribute;
}

/** RFC 7644 figure 1: ATTRNAME, with the `$` of `$ref`. */
const NAME = /^\$?[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/**
 * Finds what a path such as `name.familyName`, `emails` or `urn:…:enterprise:2.0:User:manager.value` names; nothing when the
 * schemas know no such attribute. Names are compared without case (RFC 7643 §2.1). They are looked up in a list and never in an
 * object, so that `__proto__` and `constructor` are attributes that nobody has.
 */
export function findAttribute(text: string, type: ResourceType): AttributePath | undefined {
  const { schema, rest } = splitSchema(text, type);
  const [name = '', subName, ...more] = rest.split('.');
  if (more.length > 0 || !NAME.test(name)) return undefined;
  const isCore = schema === type.core.id;
  const attribute = named(
    isCore
      ? [...COMMON_ATTRIBUTES, ...type.core.attributes]
      : (type.extensions.find(({ id }) => id === schema)?.attributes ?? []),
    name,
  );
  if (!attribute) return undefined;
  const sub = subName === undefined ? undefined : named(attribute.subAttributes ?? [], subName);
  if (subName !== undefined && !sub) return undefined;
  return { attribute, ...(sub && { sub }), ...(!isCore && { extension: schema }) };
}

/** The attribute of that name, whatever its case. */
export function named(
  attributes: readonly ScimAttribute[],
  name: string,
): ScimAttribute | undefined {
  const folded = name.toLowerCase();
  return attributes.find((each) => each.name.toLowerCase() === folded);
}

/** The schema's URN before a path, in its own spelling; without one it is the core's. */
function splitSchema(text: string, type: ResourceType): { schema: string; rest: string } {
  for (const { id } of [type.core, ...type.extensions]) {
    const prefix = `${id}:`;
    if (
      text.length > prefix.length &&
      text.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase()
    )
      return { schema: id, rest: text.slice(prefix.length) };
  }
  return { schema: type.core.id, rest: text };
}

/** The values that stand there: of a multi-valued attribute all, else one or none. */
export function valuesAt(resource: ScimResource, path: AttributePath): readonly unknown[] {
  const container = path.extension === undefined ? resource : resource[path.extension];
  const value = isRecord(container) ? container[path.attribute.name] : undefined;
  const values = Array.isArray(value)
    ? value
    : value === undefined || value === null
      ? []
      : [value];
  if (path.attribute.type !== 'complex') return values;
  // RFC 7644 §3.4.2.2: of a complex attribute without sub-attribute, its `value` is meant.
  const sub = path.sub?.name ?? 'value';
  return values.flatMap((each) => {
    const leaf = isRecord(each) ? each[sub] : undefined;
    return leaf === undefined || leaf === null ? [] : [leaf];
  });
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
