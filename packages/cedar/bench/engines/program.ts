import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Samples } from '../sample.ts';
import type { Answer, Engine, Mode } from './engine.ts';

/**
 * An engine in a program of its own. One JSON line on its stdin is a command, one on its stdout the answer:
 *
 *     {"op":"load","path":…}                     {"loadMs":…}            path: a workload as a JSON file
 *     {"op":"answers"}                           {"answers":[{"decision","reasons"?,"errors"?},…]}
 *     {"op":"measure","mode":…,"seconds":…}      {"batchNs":[…],"singleNs":[…]}
 *
 * The program measures inside itself, by the same rules as `sample.ts`; no pipe is part of any figure.
 */
export async function program(
  name: string,
  { command, path, modes }: { command: string; path: string; modes: readonly Mode[] },
): Promise<Engine> {
  const child = spawn(command, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ask = asker(name, child);
  await ask({ op: 'load', path });
  return {
    name,
    modes,
    async answers() {
      const { answers } = (await ask({ op: 'answers' })) as { answers: readonly Answer[] };
      return answers;
    },
    async measure(mode, seconds) {
      return (await ask({ op: 'measure', mode, seconds })) as Samples;
    },
    async close() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

/** One command at a time. */
function asker(name: string, child: ChildProcessByStdio<Writable, Readable, null>) {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (command: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`could not measure ${name}: found its program ended`);
    const answer = JSON.parse(value) as { readonly error?: string };
    if (answer.error !== undefined) throw new Error(`could not measure ${name}: ${answer.error}`);
    return answer;
  };
}
