import { z } from 'zod';
import { describe, listOf, quote } from './describe.ts';
import type { Words } from './report.ts';
import { descriptionOf, exampleOf } from './shape-walk.ts';
import type { Path } from './source-document.ts';
import { didYouMean } from './suggest.ts';

/** What to say of a key that is not there. */
export function missing(path: Path, target: unknown): Words {
  const key = String(path.at(-1) ?? '');
  return {
    found: `no ${quote(key)}`,
    expected: descriptionOf(target) ?? 'a value',
    mend: `add '${key}: ${exampleOf(target) ?? '...'}'`,
  };
}

/** What to say of a value that does not fit. */
export function faulty(
  issue: z.core.$ZodIssue,
  { written, target }: { readonly written: unknown; readonly target: unknown },
): Words {
  const found = describe(written);
  const example = exampleOf(target);
  const write = example === undefined ? 'correct it' : `write for example ${example}`;
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    // All of them: they are few, and ours; nobody could look up what is left out.
    const expected = `one of ${values.join(', ')}`;
    const word = typeof written === 'string' ? written : '';
    return { found, expected, mend: didYouMean(word, values, `write one of ${listOf(values)}`) };
  }
  if (issue.code === 'invalid_type') {
    const type = TYPE_NAMES[issue.expected] ?? issue.expected;
    const description = descriptionOf(target);
    return {
      found,
      expected: description === undefined ? type : `${type}: ${description}`,
      mend: asOther(written, issue.expected, target) ?? write,
    };
  }
  // Our own refinements carry what is expected as the message, and what to do as a parameter.
  const mend = issue.code === 'custom' ? issue.params?.['mend'] : undefined;
  const isOwn = !/^(Invalid|Too (big|small))/.test(issue.message);
  return {
    found,
    expected: isOwn ? issue.message : (descriptionOf(target) ?? issue.message.toLowerCase()),
    mend: typeof mend === 'string' ? mend : write,
  };
}

/** What the author most likely meant to write, when only its form is wrong. */
function asOther(written: unknown, expected: string, target: unknown): string | undefined {
  const isBare = typeof written === 'number' || typeof written === 'boolean';
  if (expected === 'string' && isBare) {
    const text = String(written);
    const fits = target instanceof z.ZodType && target.safeParse(text).success;
    return fits ? `quote it: '${text}'` : undefined;
  }
  return expected === 'array' && typeof written === 'string' ? `write [${written}]` : undefined;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  boolean: 'true or false',
  number: 'a number',
};
