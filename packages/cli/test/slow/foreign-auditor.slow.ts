import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { encodePem } from '@countersign/spiffe';
import { expect, test } from 'vitest';
import { readingBank } from '../reading-bank.ts';

// An auditor's client that is not ours: Go's own HTTP and TLS, and its library for transparency logs.

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '../../../ledger/test/go/check-log/main.go');
const GOPATH = '/usr/share/gocode';
const hasGo =
  existsSync(join(GOPATH, 'src/golang.org/x/mod/sumdb/tlog')) &&
  (await run('go', ['version']).then(
    () => true,
    () => false,
  ));
if (!hasGo) {
  const missing = 'found no go or golang.org/x/mod (Debian: golang-go, golang-golang-x-mod-dev)';
  console.warn(`the foreign auditor is skipped: ${missing}`);
  if (process.env['CI']) throw new Error(`could not read with a foreign client: ${missing}`);
}

test.skipIf(!hasGo)(
  'a client that is not ours reads a published log over mTLS and verifies it; without a reader’s SVID it gets nothing',
  async () => {
    await using bank = await readingBank();
    const binary = join(bank.folder, 'check-log');
    const cache = join(import.meta.dirname, '../../../../.cache/go-build');
    const env = { ...process.env, GO111MODULE: 'off', GOPATH, GOFLAGS: '', GOCACHE: cache };
    await run('go', ['build', '-o', binary, SOURCE], { env: { ...env, GOTOOLCHAIN: 'local' } });

    const certificateOf = async (name: string): Promise<string> => {
      const machine = await bank.machine(name);
      // The first command fetches the SVID, whatever is answered to it.
      await machine.run('find', '--count');
      const { chain, keyPem } = JSON.parse(await readFile(join(machine.svid, 'svid.json'), 'utf8'));
      const file = join(bank.folder, `${name}.pem`);
      const der = chain.map((each: string) => Buffer.from(each, 'base64'));
      await writeFile(file, `${encodePem(der)}${keyPem}`, { mode: 0o600 });
      return file;
    };
    const check = async (certificate: string) => {
      const words = ['-log', `${bank.url}/v1/published/authority`, '-step', '1'];
      const vkey = ['-vkey', join(bank.data, 'authority/log/vkey')];
      const tls = ['-ca', join(bank.data, 'trust.pem'), '-cert', certificate];
      // Exit code 1 is an answer.
      const { stdout } = await run(binary, [...words, ...vkey, ...tls]).catch((error) => {
        if (error.code === 1) return error as { stdout: string };
        throw error;
      });
      return JSON.parse(stdout);
    };

    const desk = await certificateOf('audit-desk');
    const published = join(bank.data, 'authority/published/authority/checkpoint');
    while (!existsSync(published)) await sleep(50);
    const report = await check(desk);
    expect(report.problems).toEqual([]);
    expect(report.size).toBeGreaterThan(3);
    expect(report).toMatchObject({
      origin: 'bank.example/authority',
      entries: report.size,
      inclusions: report.size,
    });
    const readings = await bank.readings();
    const paths = readings.flatMap(({ target, detail }) =>
      target === 'authority' ? [detail['path']] : [],
    );
    expect(paths).toEqual(['checkpoint', `tile/entries/000.p/${report.size}`]);

    expect(await check(await certificateOf('teller'))).toMatchObject({
      entries: 0,
      problems: [{ place: 'checkpoint', detail: 'status 403' }],
    });
  },
  120_000,
);
