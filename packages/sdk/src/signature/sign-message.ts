import type { KeyObject } from 'node:crypto';
import { parseItem, serializeByteSequence, serializeInnerList } from 'structured-headers';
import type { StructuredType } from './component-value.ts';
import { coveredComponent } from './covered-component.ts';
import type { HttpMessage } from './http-message.ts';
import { signBase } from './signature-algorithm.ts';
import { signatureBase } from './signature-base.ts';
import type { SignatureParameters } from './signature-parameters.ts';

/** What signing a message gives: the values of its two fields. */
export interface MessageSignature {
  /** `<label>=(…);…` */
  readonly signatureInput: string;
  /** `<label>=:…:` */
  readonly signature: string;
  /** What was signed. */
  readonly base: string;
}

/**
 * Signs any message over any components.
 *
 * @param components plain names, or identifiers with their parameters: `"@query-param";name="Pet"`
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID` when the message lacks a component, `ERR_SDK_OPTIONS_INVALID`
 * @see RFC 9421 §3.1
 */
export function signMessage(
  message: HttpMessage,
  options: {
    readonly key: KeyObject;
    readonly components: readonly string[];
    readonly parameters: SignatureParameters;
    readonly label?: string;
    readonly structuredTypes?: Readonly<Record<string, StructuredType>>;
  },
): MessageSignature {
  const { key, parameters, label = 'sig1', structuredTypes } = options;
  const components = options.components.map(coveredComponent);
  const input = serializeInnerList([
    components.map(({ identifier }) => parseItem(identifier)),
    new Map(Object.entries(parameters)),
  ]);
  const base = signatureBase(message, { components, input }, structuredTypes);
  const signature = serializeByteSequence(Uint8Array.from(signBase(base, key)));
  return { signatureInput: `${label}=${input}`, signature: `${label}=${signature}`, base };
}
