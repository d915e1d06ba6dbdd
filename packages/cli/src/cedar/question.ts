import type { CedarJson, CedarRequest, CedarUid } from '@countersign/cedar';
import { type Arguments, CommandError, type Io, UsageError } from '../command-line/command.ts';
import { entityNamed } from './entity-name.ts';
import { isObject, parseJsonFile, parseJsonOption } from './json.ts';
import { readText } from './read-text.ts';

const NAMES = ['principal', 'action', 'resource'] as const;

type Context = CedarRequest['context'];

/** What the command line says of a request. */
export interface Question {
  readonly principal?: CedarUid;
  readonly action?: CedarUid;
  readonly resource?: CedarUid;
  readonly context: Context;
}

/** Reads `--principal`, `--action`, `--resource` and `--context`, of which any may be missing. */
export async function readQuestion(args: Arguments, io: Io): Promise<Question> {
  const named: { -readonly [name in (typeof NAMES)[number]]?: CedarUid } = {};
  for (const name of NAMES) {
    const text = args.text(name);
    if (text !== undefined) named[name] = entityNamed(text, `--${name}`);
  }
  return { ...named, context: await contextOf(args, io) };
}

/** Reads a whole request: the four options, or `--request` with the official command line's JSON. */
export async function readRequest(args: Arguments, io: Io): Promise<CedarRequest> {
  const file = args.text('request');
  if (file !== undefined) {
    const beside = [...NAMES, 'context'].find((name) => args.text(name) !== undefined);
    if (beside !== undefined) {
      throw new UsageError(`found --request and --${beside}, expected one or the other`);
    }
    return await requestFrom(file, io);
  }
  const { principal, action, resource, context } = await readQuestion(args, io);
  if (principal && action && resource) return { principal, action, resource, context };
  const missing = NAMES.find((name) => args.text(name) === undefined);
  throw new UsageError(
    `found no --${missing}, expected --principal, --action and --resource, or --request`,
  );
}

async function contextOf(args: Arguments, io: Io): Promise<Context> {
  const given = args.text('context');
  if (given === undefined) return {};
  const value = /^\s*[{[]/.test(given)
    ? parseJsonOption(given, '--context')
    : parseJsonFile(
        { name: given, text: await readText(given, { what: 'context', io }) },
        'context',
      );
  if (!isObject(value)) throw new UsageError('found a context that is no object, expected {…}');
  return value as Context;
}

async function requestFrom(name: string, io: Io): Promise<CedarRequest> {
  const text = await readText(name, { what: 'request', io });
  const value = parseJsonFile({ name, text }, 'request');
  if (!isObject(value)) throw badRequest(name, 'something that is no object', '{…}');
  const uid = (field: (typeof NAMES)[number]): CedarUid => {
    const given = value[field];
    if (typeof given === 'string') return entityNamed(given, `${field} in ${name}`);
    const inner = isObject(given) && isObject(given['__entity']) ? given['__entity'] : given;
    if (isObject(inner) && typeof inner['type'] === 'string' && typeof inner['id'] === 'string') {
      return { type: inner['type'], id: inner['id'] };
    }
    throw badRequest(name, `no ${field}`, `"${field}": "User::\\"alice\\"" or {"type", "id"}`);
  };
  const context: CedarJson | undefined = value['context'] as CedarJson | undefined;
  if (context !== undefined && !isObject(context)) {
    throw badRequest(name, 'a context that is no object', '{…}');
  }
  return {
    principal: uid('principal'),
    action: uid('action'),
    resource: uid('resource'),
    context: (context ?? {}) as Context,
  };
}

function badRequest(name: string, found: string, expected: string): CommandError {
  return new CommandError(`cannot read request '${name}': found ${found}, expected ${expected}`);
}
