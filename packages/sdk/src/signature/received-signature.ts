import { type Dictionary, parseDictionary, serializeInnerList } from 'structured-headers';
import { fieldLines } from './component-value.ts';
import { type CoveredComponent, componentOf } from './covered-component.ts';
import { signatureFault } from './signature-fault.ts';
import { type SignatureParameters, signatureParameters } from './signature-parameters.ts';

/** One signature of a message; nothing in it may be believed before it was verified. */
export interface ReceivedSignature {
  /** The name of its members in `Signature-Input` and `Signature`. */
  readonly label: string;
  readonly components: readonly CoveredComponent[];
  readonly parameters: SignatureParameters;
  /** Covered components and parameters, serialised: the value of `@signature-params`. */
  readonly input: string;
  readonly signature: Uint8Array;
}

const SIGNATURES_MAX = 8;
const COMPONENTS_MAX = 64;

/**
 * The signatures of a message, from its `Signature-Input` and `Signature` fields; at most 8 of at most 64
 * components each.
 *
 * @param fields names and values alternating
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID` for fields that are no dictionaries, that name a label in one
 *   of the two only or in either twice, or that hold what is not known
 * @see RFC 9421 §4.1, §4.2
 */
export function receivedSignatures(fields: readonly string[]): readonly ReceivedSignature[] {
  const inputs = dictionary(fields, 'signature-input');
  const values = dictionary(fields, 'signature');
  if (inputs.size > SIGNATURES_MAX) {
    signatureFault(`found ${inputs.size} signatures, expected at most ${SIGNATURES_MAX}`);
  }
  for (const label of values.keys()) {
    if (!inputs.has(label)) signatureFault(`found signature '${label}' without its input`);
  }
  return [...inputs].map(([label, member]) => {
    const [items, parameters] = member;
    const signature = values.get(label)?.[0];
    if (!Array.isArray(items)) return signatureFault(`found input '${label}' that is no list`);
    if (!(signature instanceof ArrayBuffer)) {
      return signatureFault(`found input '${label}' without a signature in bytes`);
    }
    if (items.length > COMPONENTS_MAX) {
      signatureFault(`found ${items.length} components, expected at most ${COMPONENTS_MAX}`);
    }
    return {
      label,
      components: items.map(componentOf),
      parameters: signatureParameters(parameters),
      input: serializeInnerList([items, parameters]),
      signature: new Uint8Array(signature),
    };
  });
}

function dictionary(fields: readonly string[], name: string): Dictionary {
  const text = fieldLines(fields, name).join(', ');
  let parsed: Dictionary;
  try {
    parsed = parseDictionary(text);
  } catch (cause) {
    return signatureFault(`found a field '${name}' that is no dictionary`, cause);
  }
  // A dictionary keeps the last of two members of one name (RFC 9651 §4.2.2): a reader that keeps the
  // first would verify another signature than we do.
  if (membersOf(text) !== parsed.size) signatureFault(`found a label twice in '${name}'`);
  return parsed;
}

/** Members of a dictionary that parsed: the commas outside of strings, and one. */
function membersOf(text: string): number {
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '');
  return bare.trim() === '' ? 0 : bare.split(',').length;
}
