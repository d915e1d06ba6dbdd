import {
  CedarDataError,
  type CedarEntity,
  CedarError,
  createEntityStore,
  createJsonParser,
  type Entity,
  type EntityStore,
  type Schema,
} from '@countersign/cedar';
import { type Arguments, CommandError, type Io } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { elementStarts } from './element-starts.ts';
import { type FoundProblem, problemText } from './found-problem.ts';
import { readJson } from './json.ts';
import { ENTITIES_BYTES_MAX, readText } from './read-text.ts';
import type { TextFile } from './text-file.ts';

/** Entities that are told of as wrong: a file may have a million, all wrong in the same way. */
const REFUSED_MAX = 100;

/**
 * Reads what `--entities` names into a store; without the option there are none.
 *
 * @throws {CommandError} after the problems were printed
 */
export async function loadEntities(
  args: Arguments,
  io: Io,
  schema: Schema | undefined,
): Promise<EntityStore> {
  const name = args.text('entities');
  if (name === undefined) return createEntityStore();
  const { store, problems } = entitiesIn(await readEntitiesFile(name, io), schema);
  if (store) return store;
  io.err(`${problems.map(problemText).join('\n')}\n`);
  throw new CommandError(`cannot read entities '${printable(name)}': found the errors above`);
}

export async function readEntitiesFile(name: string, io: Io): Promise<TextFile> {
  return {
    name,
    text: await readText(name, { what: 'entities', io, bytesMax: ENTITIES_BYTES_MAX }),
  };
}

/** The entities of a file, read as the schema says; a store when nothing is wrong with them. */
export function entitiesIn(
  file: TextFile,
  schema: Schema | undefined,
): { readonly store?: EntityStore; readonly problems: readonly FoundProblem[] } {
  const { value, fault } = readJson(file.text);
  if (fault) return { problems: [invalid(file, fault)] };
  if (!Array.isArray(value)) {
    const message = 'found JSON that is no list, expected [{"uid", "attrs", "parents"}, …]';
    return { problems: [invalid(file, { message })] };
  }
  const { entities, refused } = parseAll(value, schema);
  const starts = elementStarts(file.text, new Set(refused.keys()));
  const problems = [...refused].map(([index, { code, message }]) =>
    invalid(file, { code, message, start: starts.get(index) }),
  );
  if (problems.length > 0) return { problems };
  const store = createEntityStore();
  try {
    store.putAll(entities);
  } catch (error) {
    if (!(error instanceof CedarError)) throw error;
    return { problems: [invalid(file, error)] };
  }
  return { store, problems };
}

/** What could be read, and what could not, by its place in the list. */
function parseAll(
  list: readonly unknown[],
  schema: Schema | undefined,
): {
  readonly entities: readonly Entity[];
  readonly refused: ReadonlyMap<number, CedarDataError>;
} {
  const parser = createJsonParser(schema);
  const entities: Entity[] = [];
  const refused = new Map<number, CedarDataError>();
  for (const [index, json] of list.entries()) {
    try {
      entities.push(parser.parseEntity(json as CedarEntity));
    } catch (error) {
      if (!(error instanceof CedarDataError)) throw error;
      refused.set(index, error);
      if (refused.size === REFUSED_MAX) break;
    }
  }
  return { entities, refused };
}

function invalid(
  file: TextFile,
  {
    message,
    code = 'ERR_CEDAR_ENTITY_INVALID',
    start,
  }: { readonly message: string; readonly code?: string; readonly start?: number | undefined },
): FoundProblem {
  return { code, severity: 'error', message, file, ...(start !== undefined && { start }) };
}
