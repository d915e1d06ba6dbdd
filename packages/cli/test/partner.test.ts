import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { expect, test } from 'vitest';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { countersign } from './test-io.ts';

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The partner of the example gets a certificate and a client; its surface enforces. */
async function withClient(bank: string): Promise<void> {
  const authority = await createPrivateAuthority({
    ...{ commonName: 'Partner CA', signer: softwareSigner(newKey()), now: Date.now },
  });
  const { chain } = await authority.issueClientCertificate({
    ...{ commonName: 'example', publicKey: newKey().publicKey, ttlSeconds: 3600 },
  });
  await mkdir(join(bank, 'trust'), { recursive: true });
  await writeFile(join(bank, 'trust/example.pem'), encodePem(chain));
  await writeFile(join(bank, 'trust/partner-ca.pem'), encodePem([authority.certificate]));
  const edit = async (file: string, change: (text: string) => string): Promise<void> => {
    const path = join(bank, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  };
  await edit('identities/partners.yaml', (text) => text.replaceAll('  # ', '  '));
  await edit('countersign.yaml', (text) =>
    text.replace('# clientAuthorities', 'clientAuthorities'),
  );
  await edit('surfaces/accounts.yaml', (text) => text.replace('mode: shadow', 'mode: enforce'));
}

test('a partner is cut off everywhere at once, which the edge itself shows, and let in again', async () => {
  await using bank = await startAuthorityAndEdge({ edit: withClient });
  const onData = (...words: string[]) => countersign([...words, '-d', bank.data]);
  const list = async () => (await onData('partner', 'list')).out;
  expect(await list()).toMatch(/^example +active +Example Ltd, OB-0001, until 2036-12-31/);

  const cut = await onData(
    'partner',
    'cut',
    'example',
    '--reason',
    'a breach was reported',
    '--json',
  );
  const report = JSON.parse(cut.out);
  expect([cut.code, report]).toMatchObject([
    0,
    {
      organisation: 'example',
      revoked: ['spiffe://bank.example/partner/example'],
      probes: [
        {
          ...{ listener: 'edge/partners', outcome: 'refused' },
          before: { status: 404, problem: 'route' },
          after: { status: 401, problem: 'authentication' },
        },
      ],
      unprobed: [],
    },
  ]);
  console.log(`refused ${report.probes[0].milliseconds} ms after the deed`);
  expect(await list()).toContain('cut-off');
  // What the edge said is in its log, and the deed in the authority's.
  const events = await onData('events', '--id', report.probes[0].after.eventId, '--json');
  expect(events.out).toContain('subject-disabled');
  const found = await onData('find', '--action', 'partner-cut-off', '--json');
  expect(JSON.parse(found.out).answer.rows).toMatchObject([
    { event: { target: 'example', detail: { reason: 'a breach was reported' } } },
  ]);
  const again = await onData('partner', 'cut', 'example', '--reason', 'again');
  expect([again.code, again.out]).toEqual([
    0,
    expect.stringMatching(/0 subjects revoked .*they were before\)\nwas out {5}edge\/partners/),
  ]);

  await onData('partner', 'restore', 'example');
  expect(await list()).toContain('active');
  // Who is revoked by itself is not let in with its organisation.
  await onData('revoke', 'subject', 'partner/example', '--reason', 'its own');
  await onData('partner', 'cut', 'example', '--reason', 'r', '--no-probe');
  const restored = await onData('partner', 'restore', 'example');
  expect(restored.out).toContain('reinstated nobody');
  expect((await onData('partner', 'cut', 'nobody', '--reason', 'r')).err).toContain(
    "found no organisation 'nobody'",
  );
}, 60_000);

test('where nothing refuses, nothing is proved, and the command says so', async () => {
  await using bank = await startAuthorityAndEdge({
    async edit(folder) {
      await withClient(folder);
      const file = join(folder, 'surfaces/accounts.yaml');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace('mode: enforce', 'mode: shadow'));
    },
  });
  const cut = await countersign([
    ...['partner', 'cut', 'example', '--reason', 'r', '-d', bank.data],
  ]);
  expect([cut.code, cut.out, cut.err]).toEqual([
    1,
    expect.stringContaining("not asked   edge/partners: surface 'accounts' is in shadow"),
    expect.stringContaining('proved nowhere'),
  ]);
}, 60_000);
