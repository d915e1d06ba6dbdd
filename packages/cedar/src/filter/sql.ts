import { Untranslatable } from './untranslatable.ts';

/** A value that travels beside the SQL text, never in it. */
export class SqlParameter {
  readonly value: SqlParameterValue;
  /** What PostgreSQL is told the type is; SQLite takes it from the value. */
  readonly cast: string;

  constructor(value: SqlParameterValue, cast: string) {
    this.value = value;
    this.cast = cast;
  }

  /** Two parameters with one key are the same. */
  get key(): string {
    const { value, cast } = this;
    const text =
      typeof value === 'object' ? JSON.stringify(value.map(String)) : JSON.stringify(String(value));
    return `\0${cast}${text}`;
  }
}

/** Longs go as `bigint`: a JavaScript number would reach SQLite as a REAL. */
export type SqlParameterValue = string | bigint | readonly string[] | readonly bigint[];

/** UTF-16 units of the whole SQL text. Beyond, a filter is refused: a database would choke on it. */
export const SQL_LENGTH_MAX = 262_144;

/** Levels of nesting; SQLite gives up at 1,000, PostgreSQL when its stack ends. */
export const SQL_DEPTH_MAX = 400;

type SqlPart = string | SqlParameter | Sql;

/**
 * A piece of SQL: text, parameters and other pieces, in order. Pieces are shared, so that making one is cheap
 * even where the text that it stands for repeats itself.
 */
export class Sql {
  readonly parts: readonly SqlPart[];
  /** About how long the text will be. */
  readonly length: number;
  readonly depth: number;
  #key: string | undefined;

  /** @throws {Untranslatable} when the text would grow beyond its bounds */
  constructor(parts: readonly SqlPart[]) {
    let length = 0;
    let depth = 0;
    for (const part of parts) {
      if (part instanceof Sql) {
        length += part.length;
        depth = Math.max(depth, part.depth);
      } else {
        length += typeof part === 'string' ? part.length : 12;
      }
    }
    checkSize(length, depth + 1);
    this.parts = parts;
    this.length = length;
    this.depth = depth + 1;
  }

  /** Two pieces with one key are one text with equal parameters. */
  get key(): string {
    this.#key ??= this.parts.map(keyOfPart).join('');
    return this.#key;
  }
}

function keyOfPart(part: SqlPart): string {
  if (typeof part === 'string') return part;
  return part.key;
}

/** @throws {Untranslatable} when the text would be longer or more deeply nested than databases take */
export function checkSize(length: number, depth: number): void {
  if (length > SQL_LENGTH_MAX) {
    throw new Untranslatable(`the SQL grows beyond ${SQL_LENGTH_MAX} characters`);
  }
  if (depth > SQL_DEPTH_MAX) {
    throw new Untranslatable(`the SQL nests deeper than ${SQL_DEPTH_MAX} levels`);
  }
}

/** SQL as a template; what is put in is SQL or a parameter, so that no value ever becomes text. */
export function sql(texts: TemplateStringsArray, ...pieces: readonly (Sql | SqlParameter)[]): Sql {
  const parts: SqlPart[] = [];
  for (const [index, text] of texts.entries()) {
    if (text !== '') parts.push(text);
    const piece = pieces[index];
    if (piece !== undefined) parts.push(piece);
  }
  return new Sql(parts);
}

/** Names of tables and columns, quoted: any text without NUL is one name and nothing else. */
export function identifier(...names: readonly string[]): Sql {
  return new Sql([names.map((name) => `"${name.replaceAll('"', '""')}"`).join('.')]);
}

/** An integer that the translator itself puts in, such as the length of a text. */
export function integer(value: number | bigint): Sql {
  return new Sql([String(value)]);
}

/** Pieces with a text between them. */
export function join(pieces: readonly (Sql | SqlParameter)[], between: string): Sql {
  return new Sql(pieces.flatMap((piece, index) => (index === 0 ? [piece] : [between, piece])));
}
