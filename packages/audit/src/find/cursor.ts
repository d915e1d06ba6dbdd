import { hash } from 'node:crypto';
import { AuditError } from '../audit-error.ts';
import type { Order, Position } from './page.ts';
import type { Question } from './question.ts';

/** Where an answer goes on, and which events it is about. */
export interface Cursor {
  readonly after: Position;
  /**
   * How many entries each log had when the first page was answered. All pages are of that moment: what came
   * later is neither told nor counted.
   */
  readonly sizes: ReadonlyMap<string, number>;
}

/** As text for whoever asks; good for the same question in the same order only. */
export function writeCursor({ after, sizes }: Cursor, question: Question, order: Order): string {
  const { at, log, index } = after;
  const value = [1, digestOf(question, order), at, log, index, [...sizes]];
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** @throws {AuditError} `ERR_AUDIT_CURSOR` when it is none, or another question's */
export function readCursor(text: string, question: Question, order: Order): Cursor {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    value = undefined;
  }
  const [version, digest, at, log, index, sizes] = Array.isArray(value) ? value : [];
  const isCursor =
    version === 1 &&
    isCount(at) &&
    typeof log === 'string' &&
    isCount(index) &&
    Array.isArray(sizes) &&
    sizes.every((each) => Array.isArray(each) && typeof each[0] === 'string' && isCount(each[1]));
  if (!isCursor) {
    throw new AuditError(
      'ERR_AUDIT_CURSOR',
      `cannot go on: found no cursor in '${text.slice(0, 40)}'`,
    );
  }
  if (digest !== digestOf(question, order)) {
    throw new AuditError(
      'ERR_AUDIT_CURSOR',
      'cannot go on: found the cursor of another question, expected the same words and order as before',
    );
  }
  return { after: { at, log, index }, sizes: new Map(sizes as [string, number][]) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function digestOf(question: Question, order: Order): string {
  const { where, logs, fromMs, toMs } = question;
  const conditions = where.map(({ fields, values }) => [fields, values]);
  return hash('sha256', JSON.stringify([conditions, logs, fromMs, toMs, order]), 'base64url').slice(
    0,
    16,
  );
}
