import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EXIT, selfCommand } from '@countersign/cli';
import { expect, test } from 'vitest';

// As an operator runs it; the full one (1,000 connections, 100 and 3 rotations) by `.ci/run --long`.
const isFull = process.env['CI_LONG'] === '1';
const WORDS = isFull
  ? []
  : ['--connections', '60', '--rotations', '30', '--ca-rotations', '1', '--ttl', '20s'];
const [CONNECTIONS, SVIDS, AUTHORITIES] = isFull ? [1000, 100, 3] : [60, 30, 1];

test('drill rotation passes: no request fails, no connection is on a certificate that is over', async () => {
  const [file = '', ...words] = selfCommand(['drill', 'rotation', ...WORDS, '--json']);
  const child = spawn(file, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  expect(out, err).not.toBe('');
  const report = JSON.parse(out);
  const { samples, ...rest } = report;
  console.log(JSON.stringify(rest));
  expect(report.faults, err).toEqual([]);
  expect(code).toBe(EXIT.ok);
  expect(report.passed).toBe(true);
  expect(report.requests.failed).toBe(0);
  expect(report.requests.answered).toBeGreaterThan(5 * CONNECTIONS);
  expect(report.rotations).toBeGreaterThanOrEqual(SVIDS);
  expect(report.authorityRotations).toHaveLength(AUTHORITIES);
  // Every connection was opened anew for each authority, at least.
  expect(report.connectionsOpened).toBeGreaterThanOrEqual((AUTHORITIES + 1) * CONNECTIONS);
  expect(samples.at(-2).open).toBeGreaterThan(CONNECTIONS / 2);
  for (const { oldest } of samples) {
    if (oldest) expect(oldest.spiffeId).toMatch(/^spiffe:\/\/drill\.invalid\/workload\//);
  }
});
