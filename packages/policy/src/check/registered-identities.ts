import { checkShape } from '../document/check-shape.ts';
import { createReport } from '../document/report.ts';
import { parseSource } from '../document/source-document.ts';
import type { Problem } from '../repository.ts';
import { identityShape } from '../shape/identity-shape.ts';

/** An identity that stands in no file: registered by API, an entry of `identities/*.yaml` in all else. */
export interface RegisteredIdentity {
  /** Its `id`, such as `workload/payments/api`. */
  readonly id: string;
  /** The entry as JSON, as it was written: no default filled in. */
  readonly json: string;
}

/** How many one request may hold. */
export const REGISTERED_AT_ONCE_MAX = 100;

/** How a problem names where such an identity stands. */
export function registeredFile(id: string): string {
  return `registered:${id}`;
}

/** The `id` of the registered identity that a problem is about; nothing for a file of the repository. */
export function registeredIdOf({ file }: Problem): string | undefined {
  return file.startsWith('registered:') ? file.slice('registered:'.length) : undefined;
}

/**
 * Reads what somebody registers: YAML or JSON, one entry of `identities/*.yaml` or a list of at most
 * {@link REGISTERED_AT_ONCE_MAX}. What it refers to is not looked at: `checkRepository` does, given what comes out here.
 *
 * @param file how problems name the text
 */
export function readRegisteredIdentities(
  text: string,
  { file, nowMs }: { readonly file: string; readonly nowMs: number },
): { readonly identities: readonly RegisteredIdentity[]; readonly problems: readonly Problem[] } {
  const report = createReport();
  const document = parseSource(text, file, report);
  if (document === undefined) return { identities: [], problems: report.problems() };
  const isList = Array.isArray(document.value);
  const entries: readonly unknown[] = Array.isArray(document.value)
    ? document.value
    : [document.value];
  if (entries.length === 0 || entries.length > REGISTERED_AT_ONCE_MAX) {
    report.error(document.at([]), {
      found: `${entries.length} identities`,
      expected: `1 to ${REGISTERED_AT_ONCE_MAX}`,
      mend: 'register them in several requests',
    });
    return { identities: [], problems: report.problems() };
  }
  const identities: RegisteredIdentity[] = [];
  const ids = new Set<string>();
  for (const [index, value] of entries.entries()) {
    const path = isList ? [index] : [];
    const entry = checkShape(document, identityShape, { report, path, value });
    if (entry === undefined) continue;
    if (ids.has(entry.id)) {
      report.error(document.at([...path, 'id']), {
        found: `identity '${entry.id}' a second time`,
        expected: 'it once',
        mend: 'remove one of the two',
      });
    }
    if (entry.expires !== undefined && entry.expires <= nowMs) {
      report.error(document.at([...path, 'expires']), {
        found: 'a day that is over',
        expected: 'one to come: it would get nothing from the first moment',
        mend: "write a later day, or remove 'expires'",
      });
    }
    ids.add(entry.id);
    identities.push({ id: entry.id, json: JSON.stringify(value) });
  }
  return { identities: report.hasErrors ? [] : identities, problems: report.problems() };
}
