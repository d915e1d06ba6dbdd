import {
  type Document,
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
import type { Place, Report } from './report.ts';

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
  const refuse = (offset: number | undefined, found: string) =>
    report.error(offset === undefined ? { file } : place(offset), {
      found,
      expected: 'YAML 1.2 with unique keys, one document a file',
      mend: 'correct the line; quote text that holds special characters',
    });
  try {
    // 'silent' keeps warnings in `document.warnings` instead of the process's output.
    const document = parseDocument(text, { version: '1.2', stringKeys: true, logLevel: 'error' });
    for (const fault of [...document.errors, ...document.warnings].slice(0, 20)) {
      refuse(fault.pos[0], firstLine(fault.message));
    }
    // `%YAML 1.1` would turn `on` and `no` into booleans behind the reader's back.
    if (document.directives.yaml.version !== '1.2') refuse(0, 'a %YAML directive');
    const aliases = countAliases(document);
    if (aliases > ALIASES_MAX) refuse(undefined, `${aliases} aliases`);
    if (document.errors.length > 0) return undefined;
    if (aliases > ALIASES_MAX) return undefined;
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return {
      file,
      value,
      at: (path) => place(offsetOf(document, path, 'value')),
      atKey: (path) => place(offsetOf(document, path, 'key')),
    };
  } catch (error) {
    // The parser throws for what it cannot represent: exhausted aliases, nesting beyond the stack.
    refuse(
      undefined,
      firstLine(error instanceof Error ? error.message : 'a text that cannot be parsed'),
    );
    return undefined;
  }
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
}

function countAliases(document: Document.Parsed): number {
  let count = 0;
  visit(document, {
    Alias: () => {
      count += 1;
      return count > ALIASES_MAX ? visit.BREAK : undefined;
    },
  });
  return count;
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
