import { componentValue, type StructuredType } from './component-value.ts';
import type { CoveredComponent } from './covered-component.ts';
import type { HttpMessage } from './http-message.ts';
import { signatureFault } from './signature-fault.ts';

/**
 * The text that is signed: a line for each covered component, then the signature's own parameters.
 *
 * @param input the covered components and parameters as one serialised inner list
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID` when a component is covered twice or the message has it not
 * @see RFC 9421 §2.5
 */
export function signatureBase(
  message: HttpMessage,
  {
    components,
    input,
  }: { readonly components: readonly CoveredComponent[]; readonly input: string },
  structuredTypes: Readonly<Record<string, StructuredType>> = {},
): string {
  const seen = new Set<string>();
  let base = '';
  for (const component of components) {
    const { identifier, name, parameters } = component;
    // The same component with its parameters in another order is the same component.
    const key = JSON.stringify([name, Object.entries(parameters).sort()]);
    if (seen.has(key)) signatureFault(`found ${identifier} covered twice`);
    seen.add(key);
    base += `${identifier}: ${componentValue(message, component, structuredTypes)}\n`;
  }
  return `${base}"@signature-params": ${input}`;
}
