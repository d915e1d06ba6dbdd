import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { gateway, temporaryFolder } from './support/points.ts';
import { startReceiver, uidsOf } from './support/receiver.ts';
import { testCertificates } from './support/test-certificates.ts';

const CHILD = join(import.meta.dirname, 'support', 'exporting-child.ts');
const ROUNDS = Number(process.env['ROUNDS'] ?? 6);

test('an exporter killed at any moment loses nothing: each sink has every durable event, some twice', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  console.log(`SEED=${seed}`);
  const { folder, remove } = temporaryFolder();
  const certificates = await testCertificates();
  const receiver = await startReceiver(certificates);
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, certificates.ca);
  let child: ChildProcess | undefined;
  let durable = 0;
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const isLast = round === ROUNDS;
      const running = spawn(
        process.execPath,
        ['--conditions=@countersign/source', CHILD, folder, receiver.url, caFile],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, ...(isLast ? {} : { APPEND: '1' }) },
        },
      );
      child = running;
      const lines = createInterface({ input: running.stdout });
      const begun = Promise.withResolvers<void>();
      lines.on('line', (line) => {
        durable = Math.max(durable, Number(line));
        begun.resolve();
      });
      const exited = once(running, 'exit');
      if (!isLast) {
        await begun.promise;
        // At another moment in each round, up to a fifth of a second after the first commit.
        await new Promise((resolve) => setTimeout(resolve, ((seed + round * 7919) % 200) + 1));
        running.kill('SIGKILL');
        expect(await exited).toEqual([null, 'SIGKILL']);
      } else expect(await exited).toEqual([0, null]);
    }
    const log = await gateway.open(join(folder, 'log'));
    const { size } = log;
    await log.close();
    expect(size).toBeGreaterThanOrEqual(durable);
    expect(size).toBeGreaterThan(ROUNDS * 5);
    const expected = new Set(Array.from({ length: size }, (_, seq) => `${gateway.origin}/${seq}`));
    const inFiles = readdirSync(join(folder, 'files')).flatMap((file) =>
      uidsOf(readFileSync(join(folder, 'files', file), 'utf8')),
    );
    const overHttps = receiver.requests.flatMap(({ body }) => uidsOf(body));
    expect(new Set(inFiles)).toEqual(expected);
    expect(new Set(overHttps)).toEqual(expected);
    console.log(
      `${size} events, ${ROUNDS} kills: ${inFiles.length - size} twice in files, ${overHttps.length - size} twice over HTTPS`,
    );
  } finally {
    child?.kill('SIGKILL');
    await receiver.stop();
    remove();
  }
}, 120_000);
