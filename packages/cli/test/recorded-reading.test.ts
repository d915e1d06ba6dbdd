import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { readingBank } from './reading-bank.ts';
import { exchange, START_MS, writeLog } from './records.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const NOT_RECORDED =
  'this reading is NOT in the record: no authority runs on this folder, so that nobody could write it down\n';

const COMMANDS: readonly (readonly string[])[] = [
  ['events', '--kind', 'administration', '--kind', 'alarm', '--since', '1h'],
  ['export', 'ocsf', '--log', 'authority'],
  ['ledger', 'evidence', '1', '--log', 'authority'],
];

test('where an authority runs, it has recorded each reading of its folder before anything is shown', async () => {
  await using bank = await readingBank();
  const by = `local:uid=${process.getuid?.()}`;
  for (const [words, detail] of [
    [COMMANDS[0], { command: 'events', kind: ['administration', 'alarm'], since: '1h' }],
    [COMMANDS[1], { command: 'export ocsf', log: 'authority' }],
    [COMMANDS[2], { command: 'ledger evidence', log: 'authority', index: 1 }],
  ] as const) {
    const { code, err } = await countersign([...(words ?? []), '-d', bank.data]);
    expect([code, err]).toEqual([EXIT.ok, '']);
    const { out } = await countersign([
      'find',
      '--action',
      'record-read',
      '--json',
      '-d',
      bank.data,
    ]);
    const read = JSON.parse(out).answer.rows.map(({ event }: { event: object }) => event);
    expect(read).toContainEqual(
      expect.objectContaining({ kind: 'administration', action: 'record-read', by, detail }),
    );
  }
  // The reading that shows it is there already.
  const { out } = await countersign(['events', '--json', '-d', bank.data]);
  expect(JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    ...{ action: 'record-read', by, detail: { command: 'events' } },
  });
});

test('who follows the events is recorded before the first is told', async () => {
  await using bank = await readingBank();
  const stop = new AbortController();
  const { out } = await countersign(
    ['events', '--follow', '--since', '1h', '--json', '-d', bank.data],
    {
      stop: stop.signal,
      onOut(text) {
        if (text.includes('events --follow')) stop.abort();
      },
    },
  );
  expect(out).toContain('"command":"events --follow","replay":true');
});

test('where none runs, it is said that the reading is not recorded, beside what is shown', async () => {
  await using data = await temporaryFolder();
  await writeLog(data.path, 'authority', exchange('a', START_MS));
  for (const words of COMMANDS) {
    const { code, err } = await countersign([...words, '-d', data.path]);
    expect([words, code, err]).toEqual([words, EXIT.ok, NOT_RECORDED]);
  }
});

test('an authority that does not record it lets nothing be shown', async () => {
  await using data = await temporaryFolder();
  await writeLog(data.path, 'authority', exchange('a', START_MS));
  await mkdir(join(data.path, 'authority'), { recursive: true });
  const server = createServer((_request, response) => {
    response.writeHead(500, { 'content-type': 'application/problem+json' });
    response.end('{"title":"not recorded","detail":"disk full"}');
  });
  await new Promise<void>((resolve) =>
    server.listen(join(data.path, 'authority/admin.sock'), resolve),
  );
  try {
    for (const words of COMMANDS) {
      const { code, out, err } = await countersign([...words, '-d', data.path]);
      expect([code, out]).toEqual([EXIT.failed, '']);
      expect(err).toContain('not recorded: disk full');
    }
  } finally {
    server.close();
  }
});
