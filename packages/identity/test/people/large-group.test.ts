import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDirectory, patch, type TestDirectory } from './directory.ts';

const MEMBERS = 5000;
let directory: TestDirectory;
const ids: string[] = [];
beforeAll(async () => {
  directory = await openDirectory();
  for (let index = 0; index < MEMBERS; index += 1) ids.push(await directory.user(`p${index}`));
}, 120_000);
afterAll(() => directory.close());

const clerks = () =>
  directory.identity.subjects().filter(({ parents }) => parents.some(({ id }) => id === 'clerks'))
    .length;
const value = (members: readonly string[]) => members.map((each) => ({ value: each }));

test('5,000 members come and go in one request, and each of them is recorded', async () => {
  const group = await directory.group('Clerks');
  const events = directory.events.length;
  const all = patch({ op: 'Add', path: 'members', value: value(ids) });
  expect((await directory.call('PATCH', `/Groups/${group}`, all)).status).toBe(204);
  expect(clerks()).toBe(MEMBERS);
  const added = directory.events
    .slice(events)
    .filter((event) => event.kind === 'administration' && event.action === 'group-member-added');
  expect(added).toHaveLength(MEMBERS);
  // The same again changes nobody.
  const sequence = directory.factLog.sequence;
  await directory.call('PATCH', `/Groups/${group}`, all);
  expect(directory.factLog.sequence).toBe(sequence);
  const { body } = await directory.call('GET', `/Groups/${group}`);
  expect(body.members).toHaveLength(MEMBERS);
  const none = patch({ op: 'replace', path: 'members', value: value(ids.slice(0, 1)) });
  expect((await directory.call('PATCH', `/Groups/${group}`, none)).status).toBe(204);
  expect(clerks()).toBe(1);
  await directory.call('DELETE', `/Groups/${group}`);
  expect(clerks()).toBe(0);
}, 60_000);

test('5,000 members come in 500 requests of 10, and one leaves among 5,000', async () => {
  const group = await directory.group('Clerks');
  for (let at = 0; at < MEMBERS; at += 10) {
    const ten = patch(
      ...ids.slice(at, at + 10).map((id) => ({ op: 'Add', path: 'members', value: value([id]) })),
    );
    const { status } = await directory.call('PATCH', `/Groups/${group}`, ten);
    if (status !== 204) throw new Error(`found ${status}`);
  }
  expect(clerks()).toBe(MEMBERS);
  const one = patch({ op: 'remove', path: `members[value eq "${ids[77]}"]` });
  await directory.call('PATCH', `/Groups/${group}`, one);
  const some = patch({
    op: 'remove',
    path: `members[value eq "${ids[1]}" or value eq "${ids[2]}"]`,
  });
  await directory.call('PATCH', `/Groups/${group}`, some);
  expect(clerks()).toBe(MEMBERS - 3);
  const { body } = await directory.call('GET', `/Groups/${group}?attributes=members`);
  expect(body.members).toHaveLength(MEMBERS - 3);
}, 120_000);
