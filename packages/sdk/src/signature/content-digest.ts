import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { parseDictionary } from 'structured-headers';
import { fieldLines } from './component-value.ts';
import { signatureFault } from './signature-fault.ts';

/** RFC 9530 §5: the active algorithms; the others are broken, and a digest by them counts as none. */
const ALGORITHMS: ReadonlyMap<
  string,
  { readonly node: 'sha256' | 'sha512'; readonly bytes: number }
> = new Map([
  ['sha-256', { node: 'sha256', bytes: 32 }],
  ['sha-512', { node: 'sha512', bytes: 64 }],
]);

/** What content must hash to: each digest that its field names by an algorithm that we know. */
export type ExpectedDigests = readonly {
  readonly algorithm: 'sha-256' | 'sha-512';
  readonly digest: Uint8Array;
}[];

/** The value of a `Content-Digest` field for a body: `sha-256=:…:`. */
export function contentDigest(
  body: Uint8Array | string,
  algorithm: 'sha-256' | 'sha-512' = 'sha-256',
): string {
  const { node } = ALGORITHMS.get(algorithm) as { node: string };
  return `${algorithm}=:${hash(node, body, 'base64')}:`;
}

/**
 * The digests in the `Content-Digest` field of a message.
 *
 * @param fields names and values alternating
 * @returns nothing without such a field
 * @throws {SdkError} `ERR_SDK_SIGNATURE_INVALID` for a field that is no dictionary of byte sequences, or that
 *   names no algorithm of ours
 * @see RFC 9530 §2
 */
export function contentDigests(fields: readonly string[]): ExpectedDigests | undefined {
  const lines = fieldLines(fields, 'content-digest');
  if (lines.length === 0) return undefined;
  const expected: { algorithm: 'sha-256' | 'sha-512'; digest: Uint8Array }[] = [];
  for (const [name, [value]] of dictionaryOf(lines.join(', '))) {
    const algorithm = ALGORITHMS.get(name);
    if (!algorithm) continue;
    if (!(value instanceof ArrayBuffer) || value.byteLength !== algorithm.bytes) {
      signatureFault(`found a content digest '${name}' that is not ${algorithm.bytes} bytes`);
    }
    const digest = new Uint8Array(value as ArrayBuffer);
    expected.push({ algorithm: name as 'sha-256' | 'sha-512', digest });
  }
  return expected.length > 0
    ? expected
    : signatureFault('found a content digest by no algorithm of sha-256 and sha-512');
}

function dictionaryOf(text: string): ReturnType<typeof parseDictionary> {
  try {
    return parseDictionary(text);
  } catch (cause) {
    return signatureFault("found a field 'content-digest' that is no dictionary", cause);
  }
}

/** Compares content with its digests while it passes. */
export interface DigestCheck {
  update(chunk: Uint8Array): void;
  /** Whether all that passed hashes to every digest. Ends the check. */
  matches(): boolean;
}

/** Begins to compare content with what it should hash to. */
export function checkDigests(expected: ExpectedDigests): DigestCheck {
  const running = expected.map(({ algorithm, digest }) => ({
    digest,
    hash: createHash((ALGORITHMS.get(algorithm) as { node: string }).node),
  }));
  return {
    update(chunk) {
      for (const each of running) each.hash.update(chunk);
    },
    matches: () =>
      running.length > 0 &&
      running.every((each) => timingSafeEqual(each.hash.digest(), each.digest)),
  };
}
