import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '@countersign/test-support/free-port';

const MAIN = join(import.meta.dirname, '../../cli/src/main.ts');
export const AUDIENCE = 'https://api.bank.example/accounts';

/** An authority as a bank runs it, in a process of its own: log and database on disk, each event there before the answer leaves. */
export async function startAuthorityProcess(options: {
  /** Where it may write. */
  readonly folder: string;
  /** What `identities/bench.yaml` says. */
  readonly identities: string;
  /** Files that it names. */
  readonly files: Readonly<Record<string, string>>;
}) {
  const { folder } = options;
  const [bank, data] = [join(folder, 'bank'), join(folder, 'data')];
  await run(['init', bank]);
  const [control, issuer] = [await freePort(), await freePort()];
  const config = join(bank, 'countersign.yaml');
  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replace('7401', `${control}`).replaceAll('7402', `${issuer}`));
  for (const [name, content] of Object.entries(options.files)) {
    writeFileSync(join(bank, name), content);
  }
  writeFileSync(join(bank, 'identities/bench.yaml'), options.identities);
  // A group of its own, so that all that runs for it is counted.
  const child = spawn(process.execPath, words(['authority', '-C', bank, '-d', data]), {
    ...{ detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  });
  const ended = once(child, 'exit');
  const isReady = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes('"ready":true')) break;
    }
  })();
  await Promise.race([
    isReady,
    ended.then(() => Promise.reject(new Error('the authority ended before it was ready'))),
  ]);
  child.stdout.resume();
  return {
    issuerUrl: `https://localhost:${issuer}`,
    trustPem: readFileSync(join(data, 'trust.pem'), 'utf8'),
    processGroup: child.pid ?? 0,
    async close() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function run(command: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, words(command), { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`countersign ${command.join(' ')} ended with ${code}`);
}

function words(command: readonly string[]): string[] {
  return ['--conditions=@countersign/source', MAIN, ...command];
}
