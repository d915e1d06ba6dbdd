import { type Item, type Parameters, parseItem, serializeItem } from 'structured-headers';
import { signatureFault } from './signature-fault.ts';

/** One component that a signature covers: a field or a derived component, and how it is taken. */
export interface CoveredComponent {
  /** Lower case; derived components begin with `@`. */
  readonly name: string;
  /** `sf`, `bs`, `tr`, `req` are true, `key` and `name` are strings. */
  readonly parameters: Readonly<Record<string, string | true>>;
  /** The component identifier as it stands in the signature base: `"@query-param";name="Pet"`. */
  readonly identifier: string;
}

const FLAGS: ReadonlySet<string> = new Set(['sf', 'bs', 'tr', 'req']);
const TEXTS: ReadonlySet<string> = new Set(['key', 'name']);
// RFC 9110 §5.1: a field name is a token; RFC 9421 §2.1 takes it in lower case.
const FIELD_NAME = /^[a-z0-9!#$%&'*+\-.^_`|~]{1,128}$/;
const DERIVED = /^@[a-z-]{1,32}$/;

/**
 * A component out of a plain name (`content-type`) or a whole identifier (`"example";key="a"`).
 *
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID`
 */
export function coveredComponent(text: string): CoveredComponent {
  if (!text.startsWith('"')) return componentOf([text, new Map()]);
  let item: Item;
  try {
    item = parseItem(text);
  } catch (cause) {
    return signatureFault(`found '${text}', expected a component identifier`, cause);
  }
  return componentOf(item);
}

/**
 * A component out of a member of a covered list, strictly: what a parameter that we do not know would
 * change about the value cannot be guessed.
 *
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID`
 * @see RFC 9421 §2
 */
export function componentOf(item: Item): CoveredComponent {
  const [name, given] = item;
  if (typeof name !== 'string' || !(FIELD_NAME.test(name) || DERIVED.test(name))) {
    return signatureFault('found a component whose name is no field and no derived component');
  }
  return {
    name,
    parameters: parametersOf(name, given),
    identifier: serializeItem([name, given]),
  };
}

function parametersOf(name: string, given: Parameters): CoveredComponent['parameters'] {
  const parameters: Record<string, string | true> = {};
  for (const [key, value] of given) {
    const isKnown = FLAGS.has(key) ? value === true : TEXTS.has(key) && typeof value === 'string';
    if (!isKnown) signatureFault(`found '${name}' with the parameter '${key}', which is not known`);
    parameters[key] = value as string | true;
  }
  return parameters;
}
