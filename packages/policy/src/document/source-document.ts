import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from 'yaml';
import { placesOf } from './position.ts';
import type { Place, Report, Words } from './report.ts';

/** Aliases in one document. More is a mistake or a bomb. */
export const ALIASES_MAX = 100;

/** A path from the root of a document: keys and indexes. */
export type Path = readonly PropertyKey[];

/** A YAML (or JSON) file, parsed, that knows where each of its values stands. */
export interface SourceDocument {
  readonly file: string;
  readonly value: unknown;
  /** Where the value at `path` stands, or its nearest ancestor when there is none. */
  at(path: Path): Place;
  /** Where the key stands under which the value at `path` is. */
  atKey(path: Path): Place;
}

/**
 * Parses YAML 1.2 (JSON is a part of it), strictly: unique keys, one document, no unknown tags, at
 * most {@link ALIASES_MAX} aliases.
 *
 * @returns nothing when it does not parse: the report then says where
 */
export function parseSource(
  text: string,
  file: string,
  report: Report,
): SourceDocument | undefined {
  const place = placesOf(file, text);
  try {
    // stringKeys: `200:` in an API description is text, as its reader takes it.
    const document = parseDocument(text, { version: '1.2', stringKeys: true, logLevel: 'error' });
    const faults = [...faultsOf(document)];
    for (const { offset, words } of faults.slice(0, FAULTS_SHOWN_MAX)) {
      report.error(place(offset), words);
    }
    if (faults.length > 0) return undefined;
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return {
      file,
      value,
      at: (path) => place(offsetOf(document, path, 'value')),
      atKey: (path) => place(offsetOf(document, path, 'key')),
    };
  } catch (error) {
    // The parser throws for what it cannot represent: aliases that multiply, nesting beyond the stack.
    const message =
      error instanceof Error ? firstLine(error.message) : 'a text that cannot be parsed';
    report.error({ file }, yamlWords(message));
    return undefined;
  }
}

const FAULTS_SHOWN_MAX = 20;

function* faultsOf(document: Document.Parsed): Generator<{ offset: number; words: Words }> {
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    yield { offset: pos[0], words: WORDS_BY_CODE[code] ?? yamlWords(firstLine(message)) };
  }
  // `%YAML 1.1` would turn `on` and `no` into booleans behind the reader's back.
  if (document.directives.yaml.version !== '1.2') {
    yield {
      offset: 0,
      words: {
        found: `a directive for YAML ${document.directives.yaml.version}`,
        expected: 'YAML 1.2',
        mend: 'remove the line that begins with %YAML',
      },
    };
  }
  yield* aliasFaults(document);
}

function aliasFaults(document: Document.Parsed): { offset: number; words: Words }[] {
  const faults: { offset: number; words: Words }[] = [];
  let count = 0;
  visit(document, {
    Alias: (_, alias) => {
      count += 1;
      const offset = alias.range?.[0] ?? 0;
      if (count > ALIASES_MAX) {
        const found = `more than ${ALIASES_MAX} aliases`;
        faults.push({ offset, words: { ...yamlWords(found), mend: 'write the values out' } });
        return visit.BREAK;
      }
      if (!alias.resolve(document)) {
        const found = `alias '*${alias.source.slice(0, 60)}' of an anchor that does not stand before it`;
        faults.push({ offset, words: { ...yamlWords(found), mend: 'write the value out' } });
      }
      return undefined;
    },
  });
  return faults;
}

const EXPECTED = 'YAML 1.2 with unique keys, one document a file';

const WORDS_BY_CODE: Partial<Record<ErrorCode, Words>> = {
  DUPLICATE_KEY: {
    found: 'a key that stands twice in one mapping',
    expected: EXPECTED,
    mend: 'remove or rename one of the two',
  },
  MULTIPLE_DOCS: {
    found: 'a second document',
    expected: EXPECTED,
    mend: "put it into a file of its own, or remove the '---'",
  },
};

function yamlWords(found: string): Words {
  return {
    found,
    expected: EXPECTED,
    mend: 'correct the line; quote text that holds special characters',
  };
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
}

function offsetOf(document: Document.Parsed, path: Path, part: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = rangeStart(node) ?? 0;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const isLast = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && item.key.value === String(step),
      );
      if (!pair) return offset;
      const keyOffset = rangeStart(pair.key) ?? offset;
      offset = (isLast && part === 'key' ? undefined : rangeStart(pair.value)) ?? keyOffset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = rangeStart(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function rangeStart(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
