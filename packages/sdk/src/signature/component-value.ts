import {
  parseDictionary,
  parseItem,
  parseList,
  serializeByteSequence,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
  serializeList,
} from 'structured-headers';
import type { CoveredComponent } from './covered-component.ts';
import { derivedValue } from './derived-component.ts';
import type { HttpMessage } from './http-message.ts';
import { signatureFault } from './signature-fault.ts';

/** What a structured field holds; `sf` cannot be read without knowing it. */
export type StructuredType = 'dictionary' | 'list' | 'item';

/** Registered fields whose structure is defined; a caller's own come beside these. */
const STRUCTURED: ReadonlyMap<string, StructuredType> = new Map([
  ['accept-signature', 'dictionary'], // RFC 9421 §5.1
  ['cache-status', 'list'], // RFC 9211
  ['client-cert', 'item'], // RFC 9440
  ['client-cert-chain', 'list'],
  ['content-digest', 'dictionary'], // RFC 9530
  ['priority', 'dictionary'], // RFC 9218
  ['repr-digest', 'dictionary'],
  ['signature', 'dictionary'],
  ['signature-input', 'dictionary'],
  ['want-content-digest', 'dictionary'],
  ['want-repr-digest', 'dictionary'],
]);

/**
 * The value of a component of a message, as it enters the signature base.
 *
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID` when the message has no such component, or more than one
 * @see RFC 9421 §2.1, §2.2, §2.5
 */
export function componentValue(
  message: HttpMessage,
  component: CoveredComponent,
  structuredTypes: Readonly<Record<string, StructuredType>>,
): string {
  const { parameters, identifier } = component;
  const source = parameters['req'] ? relatedRequest(message, identifier) : message;
  const value = component.name.startsWith('@')
    ? derivedValue(source, component)
    : fieldValue(source, component, structuredTypes);
  // RFC 9421 §2.5 step 2.5: anything else could forge the lines that follow.
  if (!/^[\x20-\x7e\t]*$/.test(value)) {
    signatureFault(`found characters in ${identifier} that a signature base does not hold`);
  }
  return value;
}

function relatedRequest(message: HttpMessage, identifier: string): HttpMessage {
  // RFC 9421 §2.4: only a response has a request beside itself.
  if (message.kind === 'response' && message.request) return message.request;
  return signatureFault(`found ${identifier}, and no request that this message answers`);
}

function fieldValue(
  message: HttpMessage,
  { name, parameters, identifier }: CoveredComponent,
  structuredTypes: Readonly<Record<string, StructuredType>>,
): string {
  if (parameters['name'] !== undefined) signatureFault(`found ${identifier}: a field has no name`);
  const lines = fieldLines(parameters['tr'] ? (message.trailers ?? []) : message.fields, name);
  if (lines.length === 0) {
    signatureFault(`found no field '${name}'${parameters['tr'] ? ' in the trailers' : ''}`);
  }
  const { key } = parameters;
  if (parameters['bs']) {
    // RFC 9421 §2.1.3: the two ask for opposite readings of the same bytes.
    if (parameters['sf'] || key !== undefined) signatureFault(`found ${identifier}: bs with sf`);
    return lines
      .map((line) => serializeByteSequence(new Uint8Array(Buffer.from(line, 'latin1'))))
      .join(', ');
  }
  const combined = lines.join(', ');
  if (typeof key === 'string') return dictionaryMember(combined, key, identifier);
  if (!parameters['sf']) return combined;
  const type = structuredTypes[name] ?? STRUCTURED.get(name);
  return type === undefined
    ? signatureFault(`found ${identifier}, and the structure of '${name}' is not known`)
    : strictly(combined, type, identifier);
}

/** RFC 9421 §2.1: white space around goes, an obsolete fold becomes one space. */
export function fieldLines(fields: readonly string[], name: string): string[] {
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if ((fields[index] as string).toLowerCase() !== name) continue;
    const value = fields[index + 1] as string;
    lines.push(value.replaceAll(/[ \t]*\r?\n[ \t]+/g, ' ').replaceAll(/^[ \t]+|[ \t]+$/g, ''));
  }
  return lines;
}

/** RFC 9421 §2.1.2 */
function dictionaryMember(text: string, key: string, identifier: string): string {
  try {
    const member = parseDictionary(text).get(key);
    if (member) {
      const [value] = member;
      return Array.isArray(value)
        ? serializeInnerList(member as Parameters<typeof serializeInnerList>[0])
        : serializeItem(member as Parameters<typeof serializeItem>[0]);
    }
  } catch (cause) {
    return signatureFault(`found ${identifier}, and its field is no dictionary`, cause);
  }
  return signatureFault(`found ${identifier}, and its field has no such member`);
}

/** RFC 9421 §2.1.1 */
function strictly(text: string, type: StructuredType, identifier: string): string {
  try {
    switch (type) {
      case 'dictionary':
        return serializeDictionary(parseDictionary(text));
      case 'list':
        return serializeList(parseList(text));
      case 'item':
        return serializeItem(parseItem(text));
    }
  } catch (cause) {
    return signatureFault(`found ${identifier}, and its field is no ${type}`, cause);
  }
}
