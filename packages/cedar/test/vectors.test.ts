import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCedarEngine, parseCedarJson, runVectors } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';
import { loadVectorTest } from '#src/vectors/load-vector-test.ts';
import { looksLikeTest, readVectorTest } from '#src/vectors/read-vector-test.ts';
import { officialAnswers } from './vectors/official-answers.ts';
import { vectorFiles } from './vectors/vector-files.ts';

const root = join(import.meta.dirname, 'vectors');
const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

test.each(['handmade', 'regressions'])(
  'answers every request of %s as the official engine does',
  async (folder) => {
    const report = await runVectors(join(root, folder), { ...vectorFiles, root, engine });
    expect(report.mismatches).toEqual([]);
    expect(report.tests).toBe(testsIn(folder).length);
  },
);

test.each(testsIn('handmade'))(
  'tells errors of %s in the official words and places',
  async (name) => {
    const vector = readVectorTest(readJson(name));
    const { set, entities } = await loadVectorTest(vector, {
      engine,
      read: async (path) => readText(path),
    });
    const got = vector.requests.map(
      ({ validateRequest, expected: _, description: __, ...request }) =>
        Object.fromEntries(
          set
            .authorize(request, entities, { validateRequest })
            .errors.map(({ policy, message, span }) => [policy, [message, span?.start, span?.end]]),
        ),
    );
    expect(got).toEqual(readJson(name.replace(/json$/, 'messages.json')));
  },
);

test.each([...testsIn('handmade'), ...testsIn('regressions')])(
  'what %s expects is what the official engine says',
  (name) => {
    const expected = readVectorTest(readJson(name)).requests.map((request) => request.expected);
    const official = officialAnswers(join(root, name), root);
    expect(official).toMatchObject(expected);
    const messages = official.map((answer) => 'messages' in answer && answer.messages);
    expect(messages).toEqual(readJson(name.replace(/json$/, 'messages.json')));
  },
);

/** Paths below `vectors`. */
function testsIn(folder: string): readonly string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(folder, name))
    .filter((name) => looksLikeTest(readJson(name)));
}

function readJson(name: string): unknown {
  return parseCedarJson(readFileSync(join(root, name), 'utf8'));
}

function readText(name: string): string | undefined {
  try {
    return readFileSync(join(root, name), 'utf8');
  } catch {
    return undefined;
  }
}
