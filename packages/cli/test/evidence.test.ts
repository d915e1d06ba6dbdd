import { generateKeyPairSync } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import type { DecisionEvent } from '@countersign/model';
import { keyThumbprint, publicJwk, signMessage } from '@countersign/sdk';
import { describe, expect, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const URL = 'https://api.bank.example/payments';

/** What a signed request leaves in a decision; the certificate is left out, which verifying must tell. */
function signature(): NonNullable<DecisionEvent['signature']> {
  const made = signMessage(
    { kind: 'request', method: 'POST', targetUri: URL, fields: [] },
    {
      key: privateKey,
      components: ['@method', '@target-uri'],
      parameters: { created: START_MS / 1000, keyid: 'k', tag: 'countersign-request' },
      label: 'sig',
    },
  );
  return {
    input: made.signatureInput.slice('sig='.length),
    value: made.signature.slice('sig=:'.length, -1),
    algorithm: 'ed25519',
    base: made.base,
    key: publicJwk(publicKey),
    keyThumbprint: keyThumbprint(publicKey),
    keyFrom: 'svid',
  };
}

async function written(path: string) {
  return await writeLog(path, 'edge', [
    ...exchange('a', START_MS),
    ...exchange('b', START_MS, { method: 'POST', evidence: 'E2', signature: signature() }),
    ...exchange('c', START_MS),
  ]);
}

describe('ledger evidence', () => {
  test('writes one event and its outcome, and ledger verify proves it with nothing else', async () => {
    await using data = await temporaryFolder();
    const { vkey, folder } = await written(data.path);
    const out = join(data.path, 'evidence.json');
    const made = await countersign(['ledger', 'evidence', '4', '--data', data.path, '--out', out]);
    expect(made).toMatchObject({ code: EXIT.ok, err: '' });
    expect(made.out).toBe(`wrote event 4 of edge with its outcome to ${out}\n`);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    await using elsewhere = await temporaryFolder();
    const copy = join(elsewhere.path, 'e.json');
    await writeFile(copy, await readFile(out));
    const found = await countersign([
      'ledger',
      'verify',
      '--evidence',
      copy,
      '--vkey',
      join(folder, 'vkey'),
    ]);
    expect(found.err).toBe('');
    expect(found.out).toContain(
      `good  ${copy}\n  good  subject checkpoint: signed by 'bank.example/edge'`,
    );
    expect(found.out).toContain('good  outcome outcome: status 200, forwarded: true');
    expect(found.out).toContain('unknown  subject signature: the caller did not sign');
    expect(found.code).toBe(EXIT.ok);
    const json = await countersign([
      'ledger',
      'verify',
      '--evidence',
      copy,
      '--vkey',
      vkey,
      '--json',
    ]);
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, file: copy });
  });

  test('proves what the actor signed, and tells what does not fit', async () => {
    await using data = await temporaryFolder();
    const { vkey } = await written(data.path);
    const { out: text } = await countersign(['ledger', 'evidence', '2', '--data', data.path]);
    const file = join(data.path, 'evidence.json');
    await writeFile(file, text);
    const { code, out } = await countersign([
      'ledger',
      'verify',
      '--evidence',
      file,
      '--vkey',
      vkey,
    ]);
    expect(out).toContain(
      `  good  subject signature: POST ${URL}, signed 2027-02-01T10:00:00.000Z`,
    );
    // An actor's key without its certificate: whose it is, nobody could tell.
    expect(out).toContain('  BAD  subject certificate: the record holds none');
    expect([code, out.split('\n')[0]]).toEqual([EXIT.negative, `BAD   ${file}`]);
  });

  test('says that keys of the file itself prove nothing', async () => {
    await using data = await temporaryFolder();
    await written(data.path);
    const file = join(data.path, 'evidence.json');
    await countersign(['ledger', 'evidence', '0', '--data', data.path, '--out', file]);
    const { out } = await countersign(['ledger', 'verify', '--evidence', file]);
    expect(out).toContain("unknown  verifier-key: the logs' keys are those of the file itself");
  });

  test('a damaged file, and a file that is none, are bad', async () => {
    await using data = await temporaryFolder();
    const { vkey } = await written(data.path);
    const file = join(data.path, 'evidence.json');
    const { out: text } = await countersign(['ledger', 'evidence', '0', '--data', data.path]);
    const verify = async (content: string) => {
      await writeFile(file, content);
      return await countersign(['ledger', 'verify', '--evidence', file, '--vkey', vkey]);
    };
    const { entries } = JSON.parse(text) as { entries: { entry: string }[] };
    const { entry = '' } = entries[0] ?? {};
    const flipped = Buffer.from(entry, 'base64');
    flipped.writeUInt8(flipped.readUInt8(40) ^ 1, 40);
    const damaged = await verify(text.replace(entry, flipped.toString('base64')));
    expect(damaged.code).toBe(EXIT.negative);
    expect(damaged.out).toContain(
      '  BAD  subject entry: the log holds another entry at this index',
    );
    const none = await verify('{}');
    expect([none.code, none.out]).toEqual([
      EXIT.negative,
      `BAD   ${file}: could not read evidence: found another than countersign-evidence/v1 in format\n`,
    ]);
  });

  test('never guesses which log an index is of', async () => {
    await using data = await temporaryFolder();
    await written(data.path);
    await writeLog(data.path, 'inner', exchange('a', START_MS));
    const asked = await countersign(['ledger', 'evidence', '0', '--data', data.path]);
    expect([asked.code, asked.out]).toEqual([EXIT.failed, '']);
    expect(asked.err).toContain("found edge, inner and no bundle that says which is a gateway's");
    const named = await countersign([
      'ledger',
      'evidence',
      '0',
      '--data',
      data.path,
      '--log',
      'inner',
    ]);
    expect(named.out).toContain('bank.example/inner');
  });

  test.each<[string, string[], number, string]>([
    ['no index', [], EXIT.usage, "found '', expected the index"],
    ['an odd index', ['01'], EXIT.usage, "found '01'"],
    ['an index beyond the log', ['6'], EXIT.failed, 'found a log of 6 entries'],
    [
      'a log that is not there',
      ['0', '--log', 'x'],
      EXIT.usage,
      "found --log 'x', expected one of",
    ],
    [
      'a place that cannot be written',
      ['0', '--out', '/proc/x'],
      EXIT.failed,
      'cannot write /proc/x',
    ],
  ])('with %s it says so', async (_what, words, code, message) => {
    await using data = await temporaryFolder();
    await written(data.path);
    const found = await countersign(['ledger', 'evidence', ...words, '--data', data.path]);
    expect(found.code).toBe(code);
    expect(found.err).toContain(message);
  });
});
