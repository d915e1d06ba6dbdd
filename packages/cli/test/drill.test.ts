import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { descriptorLimit, EXIT } from '@countersign/cli';
import { describe, expect, test } from 'vitest';
import { countersign, temporaryFolder } from './test-io.ts';

describe('countersign drill rotation', () => {
  test('is not begun where a process may not open as many files, and says what is needed', async () => {
    const limit = descriptorLimit();
    expect(limit).toBeGreaterThan(100);
    if (limit >= 20_256) return;
    const { code, err, out } = await countersign(['drill', 'rotation', '--connections', '20000']);
    expect([code, out]).toEqual([EXIT.failed, '']);
    expect(err).toContain(
      `cannot drill with 20000 connections: found a limit of ${limit} open files, expected 20256 or more; raise it`,
    );
  });

  test('touches no folder that has something in it: it could be a bank', async () => {
    await using folder = await temporaryFolder();
    const data = join(folder.path, 'data');
    await mkdir(data);
    await writeFile(join(data, 'trust.json'), '{}');
    const { code, err } = await countersign(['drill', 'rotation', '-d', data]);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain(`cannot drill in ${data}: found 'trust.json', expected an empty folder`);
  });

  test.each([
    [['--connections', '9'], "found --connections '9', expected a whole number from 10 to 20000"],
    [['--ttl', '9s'], "found --ttl '9s', expected from 10s to 1h"],
    [['--ttl', '2h'], "found --ttl '2h', expected from 10s to 1h"],
    // One that is idle for longer would end by its certificate.
    [['--ttl', '10s', '--rate', '999'], "found --rate '999', expected a whole number from 1000"],
    [['--ca-rotations', '101'], "found --ca-rotations '101', expected a whole number from 0"],
  ])('refuses %j', async (words, message) => {
    const { code, err } = await countersign(['drill', 'rotation', ...words]);
    expect(code).toBe(EXIT.usage);
    expect(err).toContain(message);
  });
});
