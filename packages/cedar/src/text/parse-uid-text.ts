import type { CedarUid } from '../engine.ts';
import { checkPolicyText } from './check-text.ts';
import { parseUid } from './parse-expression.ts';
import { Refusal, TokenCursor } from './token-cursor.ts';

/**
 * Reads the name of an entity as policies write it: `Bank::User::"alice"`, escapes included. Nothing when the
 * text is anything else.
 */
export function parseUidText(text: string): CedarUid | undefined {
  const { tokens, problems } = checkPolicyText(text);
  if (problems.length > 0) return undefined;
  const cursor = new TokenCursor(tokens, text.length);
  try {
    const { type, id } = parseUid(cursor);
    return cursor.peek().text === '' ? { type, id } : undefined;
  } catch (refusal) {
    if (refusal instanceof Refusal) return undefined;
    throw refusal;
  }
}
