import { describe } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import type { Path, SourceDocument } from '../document/source-document.ts';

/** How many references may lead to one another. */
export const REFERENCE_CHAIN_MAX = 16;

/** A JSON object. */
export type Mapping = { readonly [key: string]: unknown };

/** Whether a value of a document is a mapping. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Follows `$ref` within one document until something else stands there.
 *
 * @param options.path where `value` stands, for messages and for the result's place
 * @returns the value and its own path; `undefined` as value when the report says why
 * @see RFC 6901 §6, JSON Pointer as a URI fragment
 */
export function resolveReference(
  value: unknown,
  options: {
    readonly root: Mapping;
    readonly document: SourceDocument;
    readonly path: Path;
    readonly report: Report;
  },
): { readonly value: unknown; readonly path: Path } {
  const { root, document, report } = options;
  let at: { value: unknown; path: Path } = { value, path: options.path };
  for (let step = 0; isMapping(at.value) && '$ref' in at.value; step += 1) {
    const reference = at.value['$ref'];
    const target = step < REFERENCE_CHAIN_MAX ? follow(root, reference) : undefined;
    if (!target) {
      report.error(document.at([...at.path, '$ref']), {
        found: `$ref ${describe(reference)}`,
        expected:
          step < REFERENCE_CHAIN_MAX
            ? 'a reference to something in this document, such as #/components/parameters/AccountId'
            : `at most ${REFERENCE_CHAIN_MAX} references that lead to one another`,
        mend: 'correct the reference, or bundle the description into one file',
      });
      return { value: undefined, path: at.path };
    }
    at = target;
  }
  return at;
}

function follow(root: Mapping, reference: unknown): { value: unknown; path: Path } | undefined {
  if (typeof reference !== 'string' || !reference.startsWith('#/')) return undefined;
  const path = reference.slice(2).split('/').map(unescapeToken);
  let value: unknown = root;
  for (const token of path) {
    if (Array.isArray(value)) value = value[Number(token)];
    else if (isMapping(value) && Object.hasOwn(value, token)) value = value[token];
    else return undefined;
  }
  return value === undefined ? undefined : { value, path };
}

function unescapeToken(token: string): string {
  let text = token;
  try {
    text = decodeURIComponent(token);
  } catch {
    // Not percent-encoded at all: taken as it stands, and then found or not.
  }
  // RFC 6901 §4: `~1` first, so that `~01` becomes `~1` and not `/`.
  return text.replaceAll('~1', '/').replaceAll('~0', '~');
}
