import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { initRepository } from '@countersign/policy';
import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';

test('a new repository has nothing wrong with it', async () => {
  await using repository = await repositoryFolder();
  await repository.remove('.');
  await initRepository(repository.folder);
  const { repository: checked, problems } = await repository.check();
  expect(problems).toEqual([]);
  expect(checked?.config.points.map(({ name, kind }) => [name, kind])).toEqual([
    ['edge', 'gateway'],
  ]);
  expect(checked?.surfaces.map(({ name, namespace }) => [name, namespace])).toEqual([
    ['accounts', 'Accounts'],
  ]);
  expect(checked?.surfaces[0]?.operations).toEqual([
    {
      id: 'ListAccounts',
      method: 'GET',
      path: '/accounts',
      parameters: [],
      scopes: ['accounts'],
      isStateChanging: false,
    },
    {
      id: 'GetAccount',
      method: 'GET',
      path: '/accounts/{AccountId}',
      parameters: [{ name: 'AccountId', entityType: 'Account' }],
      scopes: ['accounts'],
      isStateChanging: false,
    },
    {
      id: 'CloseAccount',
      method: 'DELETE',
      path: '/accounts/{AccountId}',
      parameters: [{ name: 'AccountId', entityType: 'Account' }],
      scopes: ['accounts'],
      isStateChanging: true,
    },
  ]);
  expect(checked?.registrations.map(({ subject }) => subject.id)).toEqual([
    'spiffe://bank.example/partner/example',
    'spiffe://bank.example/workload/payments/api',
  ]);
});

test('refuses to write over anything', async () => {
  await using repository = await repositoryFolder();
  await expect(initRepository(repository.folder)).rejects.toMatchObject({
    code: 'ERR_POLICY_FOLDER_NOT_EMPTY',
    message: expect.stringMatching(
      /^could not make a repository in '.*': found '.*', expected an empty folder$/,
    ),
  });
  const { problems } = await repository.check();
  expect(problems).toEqual([]);
});

test('takes a folder that only version control knows', async () => {
  await using repository = await repositoryFolder();
  const folder = join(repository.folder, 'new');
  await repository.write('new/.git/HEAD', 'ref: refs/heads/main\n');
  await initRepository(folder);
  expect(await readdir(folder)).toContain('countersign.yaml');
});

test('says that a folder cannot be written', async () => {
  await using repository = await repositoryFolder();
  const under = join(repository.folder, 'countersign.yaml', 'folder');
  await expect(initRepository(under)).rejects.toMatchObject({
    code: 'ERR_POLICY_FOLDER_UNWRITABLE',
    message: expect.stringContaining('found ENOTDIR'),
  });
});
