import {
  type AttributePath,
  findAttribute,
  isRecord,
  type ScimResource,
} from './attribute-path.ts';
import { COMMON_ATTRIBUTES, type ResourceType } from './scim-schemas.ts';

/** Names in one `attributes` or `excludedAttributes`. */
const NAMES_MAX = 100;

/** What of a resource is answered (RFC 7644 §3.4.2.5). */
export interface Projection {
  /** Whether an attribute of the core is answered. */
  wants(name: string): boolean;
  of(resource: ScimResource): ScimResource;
}

/** Reads `attributes` and `excludedAttributes`; when both come, the first counts. Names that nobody knows are read over. */
export function projection(
  query: { readonly attributes?: string; readonly excludedAttributes?: string },
  type: ResourceType,
): Projection {
  const only = pathsOf(query.attributes, type);
  const without = only ? undefined : pathsOf(query.excludedAttributes, type);
  const isAlways = (name: string) =>
    COMMON_ATTRIBUTES.some((each) => each.name === name && each.returned === 'always');
  const isPicked = (name: string, extension?: string) => {
    const here = (path: AttributePath) =>
      path.extension === extension && path.attribute.name === name;
    if (isAlways(name) && extension === undefined) return true;
    if (only) return only.some(here);
    return !without?.some((path) => here(path) && !path.sub);
  };
  const subsOf = (name: string, extension?: string) => (value: unknown) => {
    const here = (only ?? without ?? []).filter(
      (path) => path.extension === extension && path.attribute.name === name,
    );
    // `emails` beside `emails.value` is the whole of it.
    if (here.length === 0 || here.some(({ sub }) => !sub)) return value;
    const names = here.map(({ sub }) => sub?.name ?? '');
    const cut = (element: unknown) =>
      isRecord(element)
        ? Object.fromEntries(
            Object.entries(element).filter(([sub]) => names.includes(sub) === (only !== undefined)),
          )
        : element;
    return Array.isArray(value) ? value.map(cut) : cut(value);
  };
  return {
    wants: (name) => isPicked(name),
    of(resource) {
      const picked: Record<string, unknown> = {};
      for (const [name, value] of Object.entries(resource)) {
        const extension = type.extensions.find(({ id }) => id === name)?.id;
        if (extension === undefined) {
          if (isPicked(name)) picked[name] = subsOf(name)(value);
          continue;
        }
        const part = Object.fromEntries(
          Object.entries(value as object)
            .filter(([inner]) => isPicked(inner, extension))
            .map(([inner, each]) => [inner, subsOf(inner, extension)(each)]),
        );
        if (Object.keys(part).length > 0) picked[extension] = part;
      }
      return picked;
    },
  };
}

function pathsOf(text: string | undefined, type: ResourceType): AttributePath[] | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  return text.split(',', NAMES_MAX).flatMap((name) => {
    const trimmed = name.trim();
    const extension = type.extensions.find(({ id }) => id.toLowerCase() === trimmed.toLowerCase());
    if (extension) {
      return extension.attributes.map((attribute) => ({ attribute, extension: extension.id }));
    }
    const path = findAttribute(trimmed, type);
    return path ? [path] : [];
  });
}
