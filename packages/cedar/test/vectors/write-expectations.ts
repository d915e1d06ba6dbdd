// Writes what the official engine answers into the tests of a folder: for new vectors, to be read before they are
// committed. `node --conditions=@countersign/source packages/cedar/test/vectors/write-expectations.ts handmade`
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCedarJson } from '@countersign/cedar';
import { looksLikeTest } from '#src/vectors/read-vector-test.ts';
import { type Message, officialAnswers } from './official-answers.ts';

const root = import.meta.dirname;
const folder = join(root, process.argv[2] ?? 'handmade');

for (const name of readdirSync(folder).filter((each) => each.endsWith('.json'))) {
  const file = join(folder, name);
  const json = parseCedarJson(readFileSync(file, 'utf8'));
  if (!looksLikeTest(json)) continue;
  const test = json as { requests: { description: string }[] };
  const answers = officialAnswers(file, root);
  const requests = test.requests.map((request, index) => {
    const answer = answers[index];
    if (answer === undefined || 'error' in answer) {
      console.log(`${name}, ${request.description}: ${answer?.error}`);
      return request;
    }
    const { decision, reason, errors } = answer;
    return {
      ...request,
      decision,
      reason: reason.toSorted(byNumber),
      errors: errors.toSorted(byNumber),
    };
  });
  writeFileSync(file, `${write({ ...test, requests })}\n`);
  const messages = answers.map((answer) => ('error' in answer ? {} : answer.messages));
  writeFileSync(file.replace(/json$/, 'messages.json'), `${writeMessages(messages)}\n`);
}

function byNumber(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}

/** Bigints digit by digit; lists of ids on few lines. */
function write(json: unknown): string {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  const text = JSON.stringify(
    json,
    (_key, value) => (typeof value === 'bigint' ? rawJSON(String(value)) : value),
    1,
  );
  return text.replaceAll(/\[\s+("[^"\\]*"(?:,\s+"[^"\\]*")*)\s+\]/g, (_all, ids: string) =>
    wrap(ids.split(/,\s+/)),
  );
}

function wrap(ids: readonly string[]): string {
  const lines: string[] = [];
  for (let index = 0; index < ids.length; index += 9)
    lines.push(ids.slice(index, index + 9).join(', '));
  return `[${lines.join(',\n    ')}]`;
}

/** One error a line. */
function writeMessages(requests: readonly { readonly [policy: string]: Message }[]): string {
  const lines = requests.map((messages) =>
    Object.entries(messages)
      .toSorted(([one], [other]) => byNumber(one, other))
      .map(([policy, message]) => `  ${JSON.stringify(policy)}: ${JSON.stringify(message)}`)
      .join(',\n'),
  );
  return `[\n ${lines.map((each) => (each === '' ? '{}' : `{\n${each}\n }`)).join(',\n ')}\n]`;
}
