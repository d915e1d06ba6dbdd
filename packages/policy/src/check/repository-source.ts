import { readText } from '../document/read-text.ts';
import type { Place, Report } from '../document/report.ts';
import { type Path, parseSource, type SourceDocument } from '../document/source-document.ts';

/** What the checks of one repository share. */
export interface CheckContext {
  /** Absolute. */
  readonly folder: string;
  readonly report: Report;
  readonly now: () => number;
}

/** A value that was read, and where it stands. */
export interface Located<T> {
  readonly value: T;
  readonly document: SourceDocument;
  readonly path: Path;
}

/** Reads and parses one YAML file of the repository; nothing when the report says why not. */
export async function readSource(
  file: string,
  context: CheckContext,
  options: { readonly bytesMax?: number; readonly from?: Place; readonly mend?: string } = {},
): Promise<SourceDocument | undefined> {
  const text = await readText(file, { ...context, ...options });
  return text === undefined ? undefined : parseSource(text, file, context.report);
}

/** Remembers names that must be unique, and reports the second that bears one. */
export function createNameRegister(what: string, report: Report) {
  const places = new Map<string, Place>();
  return {
    /** Whether the name was free. */
    take(name: string, place: Place): boolean {
      const first = places.get(name);
      if (!first) {
        places.set(name, place);
        return true;
      }
      report.error(place, {
        found: `${what} '${name}' a second time`,
        expected: `it once; the first is at ${first.file}:${first.line ?? 1}`,
        mend: 'rename or remove one of the two',
      });
      return false;
    },
  };
}
