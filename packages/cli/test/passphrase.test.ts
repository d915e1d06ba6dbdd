import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPassphrase } from '@countersign/cli';
import { expect, test } from 'vitest';
import { temporaryFolder } from './test-io.ts';

test('is made once, of 256 random bits, for nobody else to read', async () => {
  await using folder = await temporaryFolder();
  const defaultFile = join(folder.path, 'authority/passphrase');
  const options = { configuredFile: undefined, defaultFile, hasKeys: false, env: {} };
  const made = await readPassphrase(options);
  expect(made).toEqual({ passphrase: expect.stringMatching(/^[\w-]{43}$/), isMade: true });
  expect((await stat(defaultFile)).mode & 0o777).toBe(0o600);
  expect(await readPassphrase({ ...options, hasKeys: true })).toEqual(made);
  expect(await readFile(defaultFile, 'utf8')).toBe(`${made.passphrase}\n`);
});

test('comes from the configured file before the environment, and from that before the made one', async () => {
  await using folder = await temporaryFolder();
  const configuredFile = join(folder.path, 'secret');
  const defaultFile = join(folder.path, 'made');
  await writeFile(configuredFile, '  sixteen letters!\n');
  const env = { COUNTERSIGN_PASSPHRASE: 'of the environment' };
  expect(await readPassphrase({ configuredFile, defaultFile, hasKeys: true, env })).toEqual({
    passphrase: 'sixteen letters!',
    isMade: false,
  });
  expect(
    await readPassphrase({ configuredFile: undefined, defaultFile, hasKeys: true, env }),
  ).toEqual({
    passphrase: 'of the environment',
    isMade: false,
  });
  await expect(stat(defaultFile)).rejects.toThrow('ENOENT');
});

test('is refused below 16 characters, without being told', async () => {
  await using folder = await temporaryFolder();
  const configuredFile = join(folder.path, 'secret');
  await writeFile(configuredFile, 'fifteen letters\n');
  const read = readPassphrase({
    configuredFile,
    defaultFile: join(folder.path, 'made'),
    hasKeys: false,
    env: {},
  });
  await expect(read).rejects.toThrow(/found 15 characters, expected at least 16$/);
  await expect(read).rejects.not.toThrow('letters');
});

test('of a file that is not there is none, rather than a new one', async () => {
  await using folder = await temporaryFolder();
  const read = readPassphrase({
    configuredFile: join(folder.path, 'missing'),
    defaultFile: join(folder.path, 'made'),
    hasKeys: false,
    env: { COUNTERSIGN_PASSPHRASE: 'of the environment' },
  });
  await expect(read).rejects.toThrow('ENOENT');
});

test('that was lost is not made anew: it would open none of the keys', async () => {
  await using folder = await temporaryFolder();
  const defaultFile = join(folder.path, 'made');
  const read = readPassphrase({ configuredFile: undefined, defaultFile, hasKeys: true, env: {} });
  await expect(read).rejects.toThrow(
    `found no passphrase in ${defaultFile}, expected the one that they were made with; put it back`,
  );
  await expect(stat(defaultFile)).rejects.toThrow('ENOENT');
});
