import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseCedarJson } from '@countersign/cedar';
import { splitPolicies } from '#src/text/split-policies.ts';
import { looksLikeTest, readVectorTest } from '#src/vectors/read-vector-test.ts';
import { makeWorld } from '../fuzz/generate/make-world.ts';
import { type Oracle, withExactNumbers } from '../fuzz/oracle.ts';
import { type PlainWorld, toPlain } from '../fuzz/plain-world.ts';
import { newOracle } from '../fuzz/run-worlds.ts';
import { type OfficialAnswer, officialAnswers } from '../vectors/official-answers.ts';
import type { StoredCase } from './stored-case.ts';

/**
 * Asks the official engine once for all, so that mutants are judged without it: about every hand-made vector, and
 * as many worlds of the fuzz suites.
 *
 * @returns how many cases there are
 */
export function prepareCases(
  file: string,
  { worlds, seed }: { worlds: number; seed: number },
): number {
  const oracle = newOracle();
  const root = join(import.meta.dirname, '../vectors');
  const cases = [
    ...['handmade', 'regressions'].flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('.json'))
        .map((name) => join(folder, name))
        .filter((name) => looksLikeTest(readJson(root, name)))
        .map((name) => vectorCase(root, name, oracle)),
    ),
    ...Array.from({ length: worlds }, (_, index) => worldCase(seed, index, oracle)),
  ];
  mkdirSync(dirname(file), { recursive: true });
  const texts = cases
    .map((each) => JSON.stringify(withExactNumbers(each as never)))
    .filter(isReadable);
  writeFileSync(file, `[${texts.join(',\n')}]`);
  return texts.length;
}

/** Spoilt data may hold a number that no reader of ours takes. */
function isReadable(text: string): boolean {
  try {
    parseCedarJson(text);
    return true;
  } catch {
    return false;
  }
}

function worldCase(seed: number, index: number, oracle: Oracle): StoredCase {
  const world = makeWorld(seed, index);
  const schema = world.schema === undefined ? undefined : oracle.resolve(world.schema);
  return { name: `world ${index}`, ...toPlain(world, schema), expected: oracle.ask(world) };
}

function vectorCase(root: string, name: string, oracle: Oracle): StoredCase {
  const test = readVectorTest(readJson(root, name));
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const answers = officialAnswers(join(root, name), root) as readonly OfficialAnswer[];
  return {
    name,
    schema: typeof test.schema === 'string' ? oracle.resolve(read(test.schema)) : undefined,
    policies: splitPolicies(read(test.policies), { ids: 'position' }).policies,
    links: Array.isArray(test.links) ? test.links : [],
    entities: (typeof test.entities === 'string'
      ? readJson(root, test.entities)
      : []) as PlainWorld['entities'],
    requests: test.requests.map(({ description: _, expected: __, ...request }, index) => ({
      ...request,
      hides: index + 1,
    })),
    expected: answers.map(({ decision, reason, messages }) => ({
      kind: 'answer',
      decision,
      reasons: reason,
      errors: Object.entries(messages)
        .map(([policy, [message, start, end]]) => ({ policy, message, start, end }))
        .sort((one, other) => (one.policy < other.policy ? -1 : 1)),
    })),
  };
}

function readJson(root: string, name: string): unknown {
  return parseCedarJson(readFileSync(join(root, name), 'utf8'));
}
