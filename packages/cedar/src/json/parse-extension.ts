import type { ObjectValue, Value } from '../value/value.ts';
import {
  CONSTRUCTORS,
  EXTENSION_FUNCTIONS,
  type ExtensionFunction,
  type ExtensionKind,
} from './extension-functions.ts';
import { describe, isPlainObject, type JsonObject, Refusal, within } from './refusal.ts';

/** `{fn, arg}` or `{fn, args}`. */
interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
  /** Whether it was `args`. */
  readonly isList: boolean;
}

/** Finds a call in what `__extn` holds; nothing where there is none. */
export function readCall(json: unknown): Call | undefined {
  if (!isPlainObject(json)) return undefined;
  const name = json['fn'];
  if (typeof name !== 'string') return undefined;
  if (json['arg'] !== undefined) return { name, args: [json['arg']], isList: false };
  return Array.isArray(json['args']) ? { name, args: json['args'], isList: true } : undefined;
}

/** @param parseArgument how an argument is read that is to be of a kind */
export function callExtension(
  { name, args, isList }: Call,
  parseArgument: (json: unknown, kind: 'string' | ExtensionKind) => Value,
): Value {
  const { parameters, call } = findFunction(name);
  if (args.length !== parameters.length) {
    throw new Refusal(`${args.length} arguments`, `${parameters.length} for '${name}'`);
  }
  const values = parameters.map((kind, index) => {
    try {
      const value = parseArgument(args[index], kind);
      if (kindOf(value) !== kind) throw new Refusal(describe(args[index]), nameKind(kind));
      return value;
    } catch (error) {
      throw isList ? within(within(error, index), 'args') : within(error, 'arg');
    }
  });
  const value = call(values);
  if (value === undefined) throw new Refusal(describe(args[0]), `what '${name}' takes`);
  return value;
}

/** For messages. */
export function nameKind(kind: 'string' | ExtensionKind): string {
  return kind === 'ipaddr' ? 'an ipaddr' : `a ${kind}`;
}

function findFunction(name: string): ExtensionFunction {
  const found = EXTENSION_FUNCTIONS.get(name);
  if (found !== undefined) return found;
  throw new Refusal(describe(name), `one of ${[...EXTENSION_FUNCTIONS.keys()].join(', ')}`);
}

function kindOf(value: Value): string {
  return typeof value === 'object' ? value.kind : typeof value;
}

/**
 * A value where one of an extension type is expected: the text alone, a call, or a call in `__extn`. What the
 * call makes may be of another kind.
 */
export function parseImplicitExtension(json: unknown, kind: ExtensionKind): Value {
  if (typeof json === 'string') return construct(json, kind);
  if (!isPlainObject(json)) throw new Refusal(describe(json), nameKind(kind));
  refuseExpr(json);
  const escaped = json['__extn'];
  // Nearly all are this; all others, and refusals, take the long way.
  const value = isPlainObject(escaped) ? constructed(escaped, kind) : undefined;
  if (value !== undefined) return value;
  const call = readCall(escaped) ?? readCall(json);
  if (call === undefined) throw new Refusal(describe(json), nameKind(kind));
  return callExtension(call, parseTypedArgument);
}

/** What the constructor of the kind makes of one text; nothing where it is another call, or fails. */
function constructed({ fn, arg }: JsonObject, kind: ExtensionKind): ObjectValue | undefined {
  const { name, parse } = CONSTRUCTORS[kind];
  return fn === name && typeof arg === 'string' ? parse(arg) : undefined;
}

function construct(text: string, kind: ExtensionKind): ObjectValue {
  const value = CONSTRUCTORS[kind].parse(text);
  if (value === undefined) throw new Refusal(describe(text), nameKind(kind));
  return value;
}

function parseTypedArgument(json: unknown, kind: 'string' | ExtensionKind): Value {
  if (kind !== 'string') return parseImplicitExtension(json, kind);
  if (typeof json !== 'string') throw new Refusal(describe(json), 'a string');
  return json;
}

function refuseExpr(json: JsonObject): void {
  if (typeof json['__expr'] === 'string') throw new Refusal('__expr', 'a value');
}
