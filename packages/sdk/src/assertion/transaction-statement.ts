import { hash } from 'node:crypto';
import { SdkError } from '../sdk-error.ts';

/**
 * What a person is asked to approve with an authenticator: one request, and what of it was shown.
 *
 * Written by {@link formatTransactionStatement}; SHA-256 of that text is the challenge (WebAuthn §5.8.1).
 */
export interface TransactionStatement {
  /** The person's SPIFFE ID. */
  readonly subject: string;
  readonly method: string;
  /** Absolute, as the request is sent to it: `@target-uri` of RFC 9421 §2.2.2. */
  readonly targetUri: string;
  /** SHA-256 of the content, base64; nothing for a request without content. */
  readonly contentSha256?: string;
  /** As it was shown: decimal digits, a point, a space, ISO 4217, such as `5.00 EUR`. */
  readonly amount?: string;
  /** As it was shown: who is paid, at most 140 characters. */
  readonly creditor?: string;
  /** Seconds since the epoch. */
  readonly createdSeconds: number;
  /** Base64url of 16 to 64 random bytes: the same approval is never asked for twice. */
  readonly nonce: string;
}

/** The first line: no other signature of ours is over a text that begins like this. */
const DOMAIN = 'countersign-transaction/v1';

/** In this order, each on a line of its own. */
const LINES = [
  { name: 'subject', key: 'subject', form: /^spiffe:\/\/[!-~]{1,2000}$/ },
  { name: 'method', key: 'method', form: /^[A-Za-z]{1,32}$/ },
  { name: 'target', key: 'targetUri', form: /^https?:\/\/[!-~]{1,4000}$/ },
  { name: 'content-sha-256', key: 'contentSha256', form: /^[A-Za-z0-9+/]{43}=$/, isOptional: true },
  {
    name: 'amount',
    key: 'amount',
    form: /^(0|[1-9][0-9]{0,17})(\.[0-9]{1,6})? [A-Z]{3}$/,
    isOptional: true,
  },
  // What cannot be seen, or turns what can, was not shown.
  { name: 'creditor', key: 'creditor', form: /^[^\p{C}\p{Zl}\p{Zp}]{1,140}$/u, isOptional: true },
  { name: 'created', key: 'createdSeconds', form: /^[1-9][0-9]{0,11}$/ },
  { name: 'nonce', key: 'nonce', form: /^[A-Za-z0-9_-]{22,86}$/ },
] as const satisfies readonly {
  readonly name: string;
  readonly key: keyof TransactionStatement;
  readonly form: RegExp;
  readonly isOptional?: boolean;
}[];

/** Characters of the longest statement that is read. */
export const STATEMENT_LENGTH_MAX = 8 * 1024;

/**
 * Writes a statement: `countersign-transaction/v1`, then each member on a line `name: value`, in one order, those that are
 * absent left out; UTF-8, each line ended by a newline. One statement has one text.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` naming the member that cannot stand there
 */
export function formatTransactionStatement(statement: TransactionStatement): string {
  const lines = LINES.flatMap((line) => {
    const value = statement[line.key];
    if (value === undefined && 'isOptional' in line) return [];
    const text = String(value);
    if (!line.form.test(text) || !text.isWellFormed()) {
      throw new SdkError(
        'ERR_SDK_OPTIONS_INVALID',
        `could not write transaction: found ${line.key} '${text.slice(0, 64)}', expected ${line.form}`,
      );
    }
    return [`${line.name}: ${text}\n`];
  });
  return `${DOMAIN}\n${lines.join('')}`;
}

/**
 * Reads a statement.
 *
 * @returns nothing for a text that {@link formatTransactionStatement} would not have written in just this way
 */
export function parseTransactionStatement(text: string): TransactionStatement | undefined {
  if (text.length > STATEMENT_LENGTH_MAX) return undefined;
  const values = new Map<string, string>();
  for (const line of text.split('\n').slice(1, -1)) {
    const at = line.indexOf(': ');
    if (at < 0) return undefined;
    values.set(line.slice(0, at), line.slice(at + 2));
  }
  const members = LINES.flatMap(({ name, key }) => {
    const value = values.get(name);
    return value === undefined ? [] : [[key, key === 'createdSeconds' ? Number(value) : value]];
  });
  const statement = Object.fromEntries(members) as TransactionStatement;
  try {
    return formatTransactionStatement(statement) === text ? statement : undefined;
  } catch (error) {
    if (error instanceof SdkError) return undefined;
    throw error;
  }
}

/** The challenge of a statement: SHA-256 of its text, base64url. */
export function transactionChallenge(text: string): string {
  return hash('sha256', text, 'base64url');
}
