/** What of a schema in JSON matters here. */
interface JsonNamespace {
  readonly commonTypes?: { readonly [name: string]: JsonType };
  readonly entityTypes: { readonly [name: string]: { readonly shape?: JsonType } };
}

interface JsonType {
  readonly type?: string;
  readonly name?: string;
}

/**
 * Writes out the shapes of entities that are given as the name of a common type of their own namespace: JSON has
 * them, Cedar syntax has not, and only what has Cedar syntax can be resolved. A type of another namespace stays as
 * it is: the names inside it would come to mean others.
 */
export function withRecordShapes<T extends object>(schema: T): T {
  const namespaces = Object.entries(schema as { [name: string]: JsonNamespace });
  return Object.fromEntries(
    namespaces.map(([name, namespace]) => {
      const { commonTypes = {}, entityTypes } = namespace;
      const types = Object.entries(entityTypes).map(([type, entity]) => {
        const { shape } = entity;
        return [type, shape ? { ...entity, shape: recordOf(shape, commonTypes) } : entity] as const;
      });
      return [name, { ...namespace, entityTypes: Object.fromEntries(types) }] as const;
    }),
  ) as T;
}

function recordOf(shape: JsonType, commonTypes: { readonly [name: string]: JsonType }): JsonType {
  let type = shape;
  // A common type may be another's name; the official engine has refused cycles before.
  for (let hops = Object.keys(commonTypes).length; hops > 0; hops -= 1) {
    const name = type.type === 'EntityOrCommon' ? type.name : type.type;
    if (name === undefined || !Object.hasOwn(commonTypes, name)) break;
    type = commonTypes[name] as JsonType;
  }
  return type;
}
