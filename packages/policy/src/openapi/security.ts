import { describe } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import type { Path, SourceDocument } from '../document/source-document.ts';
import { isMapping, type Mapping } from './resolve-reference.ts';

const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/;

/**
 * The scopes that an operation asks for: those of its own `security`, else of the description's.
 *
 * Within one requirement all count. Of several alternatives the first counts, with a warning: an
 * operation has one set of scopes here, and asking for the first is the stricter reading unless the
 * first asks for none.
 *
 * @see OpenAPI Specification 3.1.1, §4.8.30
 */
export function readScopes(
  operation: Mapping,
  options: {
    readonly document: SourceDocument;
    readonly root: Mapping;
    /** Of the operation. */
    readonly path: Path;
    readonly report: Report;
    /** Collects where several alternatives stand. */
    readonly alternatives: Path[];
  },
): readonly string[] {
  const { document, root, path, report } = options;
  const isOwn = 'security' in operation;
  const at = isOwn ? [...path, 'security'] : ['security'];
  const alternatives = isOwn ? operation['security'] : root['security'];
  if (alternatives === undefined) return [];
  if (!Array.isArray(alternatives) || !alternatives.every(isMapping)) {
    report.error(document.at(at), {
      found: describe(alternatives),
      expected: 'a list of security requirements',
      mend: 'write for example security: [{ oauth: [accounts] }]',
    });
    return [];
  }
  const first = alternatives[0] ?? {};
  if (alternatives.length > 1) options.alternatives.push(at);
  const scopes = Object.entries(first).flatMap(([scheme, list]) =>
    scopesOf(list, { ...options, at: [...at, 0, scheme] }),
  );
  return [...new Set(scopes)];
}

/** Warns once for all operations: in some descriptions every one of them has the same alternatives. */
export function reportAlternatives(
  document: SourceDocument,
  alternatives: readonly Path[],
  report: Report,
): void {
  const first = alternatives[0];
  if (!first) return;
  report.warn(document.at(first), {
    found: `alternative security requirements at ${alternatives.length} operations, the first here`,
    expected: 'one requirement: of several, only the first is asked for',
    mend: 'keep one, or put the one to ask for first',
  });
}

function scopesOf(
  list: unknown,
  options: { readonly document: SourceDocument; readonly at: Path; readonly report: Report },
): readonly string[] {
  if (
    Array.isArray(list) &&
    list.every((scope) => typeof scope === 'string' && SCOPE.test(scope))
  ) {
    return list;
  }
  options.report.error(options.document.at(options.at), {
    found: describe(list),
    expected: 'a list of scopes, empty when there are none',
    mend: 'write for example [accounts]',
  });
  return [];
}
