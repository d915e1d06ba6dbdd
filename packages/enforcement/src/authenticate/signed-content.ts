import type { Surface } from '@countersign/model';
import { checkDigests, contentDigests, type ExpectedDigests, SdkError } from '@countersign/sdk';
import type { Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import type { ContentBudget } from './content-budget.ts';

/** What comparing content with its signed digests came to. */
export type ContentFinding = 'matches' | 'differs' | 'too-large' | 'overloaded' | 'late' | 'gone';

/**
 * Compares the content of one request with its digests, once.
 *
 * @param key of the signature, by its thumbprint
 */
export type ContentReader = (expected: ExpectedDigests, key: string) => Promise<ContentFinding>;

/**
 * Reads the content whole and holds it back until it was compared: what reaches the resource is what was signed. Bounds:
 * {@link LIMITS}.contentBytes and {@link LIMITS}.contentTimeoutMs each, {@link LIMITS}.contentsOfOneKeyBytes of one key
 * and {@link LIMITS}.contentsBytes for all.
 */
export function heldContent(
  { content }: Exchange,
  surface: Surface | undefined,
  budget: ContentBudget,
): ContentReader {
  // Where it need not be signed, content of unknown length is not begun with: it could turn out too long.
  const isOptional = surface === undefined || surface.evidenceLevel < 'E2';
  return async (expected, key) => {
    // A carrier that cannot hold content back cannot vouch for it.
    if (!content) return 'too-large';
    const held = await content.hold({
      bytesMax: LIMITS.contentBytes,
      timeoutMs: LIMITS.contentTimeoutMs,
      isOptional,
      budget: {
        take: (bytes) => budget.take(key, bytes),
        give: (bytes) => budget.give(key, bytes),
      },
    });
    if (held.kind !== 'held') return held.kind;
    const check = checkDigests(expected);
    check.update(held.bytes);
    return check.matches() ? 'matches' : 'differs';
  };
}

/**
 * Looks at the content as it passes, and alters nothing. To be called before anything is awaited: what has passed by then
 * is not seen again.
 */
export function passingContent({ content, head }: Exchange): ContentReader {
  const expected = content && digestsOf(head.rawHeaders);
  if (!content || !expected) return () => Promise.resolve('differs');
  const check = checkDigests(expected);
  const ended = content.watch((chunk) => check.update(chunk));
  return async () => ((await ended) === 'gone' ? 'gone' : check.matches() ? 'matches' : 'differs');
}

function digestsOf(fields: readonly string[]): ExpectedDigests | undefined {
  try {
    return contentDigests(fields);
  } catch (error) {
    if (error instanceof SdkError) return undefined;
    throw error;
  }
}
