import { parseDictionary } from 'structured-headers';

/** The field of a request that carries an assertion. */
export const ASSERTION_FIELD = 'transaction-assertion';
/** The longest value of that field that is read. */
export const ASSERTION_FIELD_LENGTH_MAX = 12 * 1024;

/** What a person's authenticator said to a statement: `AuthenticatorAssertionResponse` of WebAuthn, bytes in base64url. */
export interface TransactionAssertion {
  /** The text that {@link formatTransactionStatement} wrote. */
  readonly statement: string;
  readonly credentialId: string;
  readonly authenticatorData: string;
  readonly clientDataJson: string;
  readonly signature: string;
}

/** Members of the field, and the most bytes of each. */
const MEMBERS = [
  ['statement', 'statement', 8 * 1024],
  ['id', 'credentialId', 1023],
  ['data', 'authenticatorData', 1024],
  ['client', 'clientDataJson', 2048],
  ['sig', 'signature', 512],
] as const;

/**
 * The value of the field `Transaction-Assertion`: a dictionary of byte sequences, `statement`, `id`, `data`, `client`, `sig`.
 *
 * @see RFC 9651 §3.2, §3.3.5
 */
export function formatTransactionAssertion(assertion: TransactionAssertion): string {
  return MEMBERS.map(([name, key]) => {
    const bytes = Buffer.from(assertion[key], key === 'statement' ? 'utf8' : 'base64url');
    return `${name}=:${bytes.toString('base64')}:`;
  }).join(', ');
}

/**
 * Reads the value of the field `Transaction-Assertion`.
 *
 * @returns nothing for a value that {@link formatTransactionAssertion} would not have written, or that is too long
 */
export function parseTransactionAssertion(value: string): TransactionAssertion | undefined {
  if (value.length > ASSERTION_FIELD_LENGTH_MAX) return undefined;
  let dictionary: ReturnType<typeof parseDictionary>;
  try {
    dictionary = parseDictionary(value);
  } catch {
    return undefined;
  }
  const members: Record<string, string> = {};
  for (const [name, key, bytesMax] of MEMBERS) {
    const [bytes] = dictionary.get(name) ?? [];
    if (!(bytes instanceof ArrayBuffer) || bytes.byteLength === 0 || bytes.byteLength > bytesMax) {
      return undefined;
    }
    members[key] = Buffer.from(bytes).toString(key === 'statement' ? 'utf8' : 'base64url');
  }
  const assertion = members as unknown as TransactionAssertion;
  // One assertion has one value: further members, parameters and damaged UTF-8 are not read over.
  return formatTransactionAssertion(assertion) === value ? assertion : undefined;
}
