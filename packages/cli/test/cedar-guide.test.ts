import { readFileSync } from 'node:fs';
import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CedarFolder, cedarFolder } from './cedar-files.ts';

const GUIDE = readFileSync(new URL('../../../docs/start/cedar.md', import.meta.url), 'utf8');

/** A step of the guide: a file to make, or a command with what it says that the command prints. */
type Step =
  | { readonly file: string; readonly text: string }
  | { readonly words: readonly string[]; readonly printed: readonly string[] };

const BLOCK = /^```(\w+)(?: file=(\S+))?\n([\s\S]*?)^```\n((?:\n| {4}.*\n)*)/gm;

const steps = [...GUIDE.matchAll(BLOCK)].flatMap(
  ([, language, file, text = '', shown = '']): readonly Step[] => {
    if (file !== undefined) return [{ file, text }];
    if (language !== 'sh' || !text.startsWith('countersign cedar ')) return [];
    const lines = shown.split('\n').filter((line) => line.trim() !== '');
    return [{ words: wordsOf(text), printed: lines.map((line) => line.slice(4)) }];
  },
);

/** As a shell takes a line apart: single quotes, and lines that go on. */
function wordsOf(line: string): readonly string[] {
  const words = line.replaceAll('\\\n', ' ').match(/'[^']*'|[^\s']+/g) ?? [];
  return words.slice(2).map((word) => word.replaceAll("'", ''));
}

describe('docs/start/cedar.md', () => {
  let folder: CedarFolder;
  beforeAll(async () => {
    folder = await cedarFolder({});
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test('shows every command but one by itself', () => {
    const shown = steps.flatMap((step) => ('words' in step ? [step.words[0]] : []));
    expect(shown).toEqual(['check', 'check', 'authorize', 'explain', 'filter', 'who', 'vectors']);
  });

  test('says what the commands print', async () => {
    for (const step of steps) {
      if ('file' in step) {
        await folder.write({ [step.file]: step.text });
        continue;
      }
      const { code, out, err } = await folder.cedar(...step.words);
      expect(err, step.words.join(' ')).toBe('');
      expect(code).toBeLessThanOrEqual(EXIT.negative);
      expect(step.printed.length).toBeGreaterThan(0);
      const lines = out.split('\n');
      for (const line of step.printed) expect(lines, step.words.join(' ')).toContain(line);
    }
  });
});
