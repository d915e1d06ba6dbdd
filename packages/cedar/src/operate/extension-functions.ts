import type { Value } from '../value/value.ts';
import { datetimeFunctions } from './datetime-functions.ts';
import { decimalFunctions } from './decimal-functions.ts';
import { wrongArity } from './failure.ts';
import { ipFunctions } from './ip-functions.ts';
import type { CallPlace, ExtensionFunction } from './place.ts';

/** Every extension function and method by its name; both are called the same way. */
export const EXTENSION_FUNCTIONS: ReadonlyMap<string, ExtensionFunction> = new Map([
  ...Object.entries(ipFunctions),
  ...Object.entries(decimalFunctions),
  ...Object.entries(datetimeFunctions),
]);

/** Calls by name; a wrong number of arguments parses and is an error of evaluation. */
export function callExtension(name: string, args: readonly Value[], place: CallPlace): Value {
  const found = EXTENSION_FUNCTIONS.get(name);
  // The parser lets no other name through.
  if (!found) throw new TypeError(`cannot call '${name}': found no such extension function`);
  if (args.length !== found.arity) {
    throw wrongArity(name, { expected: found.arity, actual: args.length, span: place.span });
  }
  return found.call(args[0] as Value, args[1] as Value, place);
}
