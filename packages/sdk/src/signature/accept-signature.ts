import { type Item, serializeInnerList } from 'structured-headers';
import { fieldLines } from './component-value.ts';
import type { RequestMessage } from './http-message.ts';

/**
 * The value of an `Accept-Signature` field that tells a client what the signature of such a request must cover.
 *
 * @param message the request that came without it
 * @see RFC 9421 §5.1
 */
export function acceptSignature(
  { fields }: RequestMessage,
  { hasContent }: { readonly hasContent: boolean },
): string {
  const has = (name: string) => fieldLines(fields, name).length > 0;
  const components = ['@method', '@target-uri'];
  if (has('dpop')) components.push('dpop');
  if (has('txn-token') || (has('authorization') && !has('dpop'))) components.push('token-digest');
  if (hasContent) components.push('content-digest');
  const items = components.map((name): Item => [name, new Map()]);
  return `sig=${serializeInnerList([
    items,
    new Map<string, boolean | string>([
      ['created', true],
      ['tag', 'countersign-request'],
    ]),
  ])}`;
}
