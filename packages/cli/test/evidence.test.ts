import { generateKeyPairSync } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { cosignerKey, cosignerVerifierKey } from '@countersign/ledger';
import { describe, expect, test } from 'vitest';
import { exchange, START_MS, writeLog } from './records.ts';
import { signedExchange } from './signed-exchange.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const signed = await signedExchange();

/** A point's log, the second exchange of which its caller signed, and the authority's, which knows the caller. */
async function written(path: string) {
  const { vkey: authority } = await writeLog(path, 'authority', [signed.registration]);
  const edge = await writeLog(path, 'edge', [
    ...exchange('a', START_MS),
    ...exchange('b', START_MS, signed.decision),
    ...exchange('c', START_MS),
  ]);
  return { ...edge, authority };
}

/** Makes evidence of an entry, lets it be changed, and verifies it with these keys. */
async function verified(
  path: string,
  index: number,
  keys: readonly string[],
  change: (file: { entries: { role: string }[] }) => void = () => {},
) {
  const { out: made } = await countersign(['ledger', 'evidence', `${index}`, '--data', path]);
  const content = JSON.parse(made);
  change(content);
  const file = join(path, 'evidence.json');
  await writeFile(file, `${JSON.stringify(content, undefined, 2)}\n`);
  const words = ['ledger', 'verify', '--evidence', file, ...keys.flatMap((key) => ['--vkey', key])];
  const { code, out, err } = await countersign(words);
  const json = JSON.parse((await countersign([...words, '--json'])).out);
  return { code, out, err, json, headline: out.split('\n')[0]?.split('  ')[0] };
}

describe('ledger evidence', () => {
  test('writes one event and its outcome, and ledger verify proves it with nothing else', async () => {
    await using data = await temporaryFolder();
    const { vkey, folder } = await written(data.path);
    const out = join(data.path, 'evidence.json');
    const made = await countersign(['ledger', 'evidence', '4', '--data', data.path, '--out', out]);
    expect(made).toMatchObject({
      code: EXIT.ok,
      err: expect.stringMatching(/^this reading is NOT in the record: .*\n$/),
    });
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
      `unknown  ${copy}\n  GET GetAccount by spiffe://bank.example/partner/example: permit`,
    );
    expect(found.out).toContain('good  outcome outcome: status 200, forwarded: true');
    expect(found.out).toContain('unknown  subject signature: the caller did not sign');
    expect(found.code).toBe(EXIT.failed);
    const json = await countersign([
      'ledger',
      'verify',
      '--evidence',
      copy,
      '--vkey',
      vkey,
      '--json',
    ]);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, result: 'unknown', file: copy });
  });

  test('proves what the actor signed, when the keys of both logs are brought along', async () => {
    await using data = await temporaryFolder();
    const { vkey, authority } = await written(data.path);
    const found = await verified(data.path, 2, [vkey, authority]);
    expect(found.out).toContain(
      '  good  subject signature: POST https://api.bank.example/pay/payments, signed 2027-02-01T10:00:00.000Z',
    );
    expect(found.out).toContain('  good  credential credential: certificate-registered for');
    expect(found.json).toMatchObject({ ok: true, result: 'good' });
    expect([found.headline, found.code]).toEqual(['good', EXIT.ok]);
  });

  test('is unknown, not bad, when the key of one log alone is brought along', async () => {
    await using data = await temporaryFolder();
    const { vkey, authority } = await written(data.path);
    const found = await verified(data.path, 2, [vkey]);
    expect(found.out).toContain(
      "  unknown  credential checkpoint: it is of 'bank.example/authority': bring the key of that log along",
    );
    expect(found.out).toContain('  unknown  credential credential: certificate-registered for');
    expect(found.out).not.toContain('BAD');
    expect(found.out).not.toContain("''");
    expect(found.json).toMatchObject({ ok: false, result: 'unknown' });
    expect([found.headline, found.code]).toEqual(['unknown', EXIT.failed]);
    const other = await verified(data.path, 2, [authority]);
    expect(other.out).toContain('  unknown  subject event: decision');
    expect([other.headline, other.code]).toEqual(['unknown', EXIT.failed]);
  });

  test('tells at once what was decided and answered, as text and as JSON', async () => {
    await using data = await temporaryFolder();
    const { vkey: authority } = await writeLog(data.path, 'authority', [signed.registration]);
    const { vkey } = await writeLog(data.path, 'edge', [
      ...exchange('a', START_MS, signed.decision),
      ...exchange('b', START_MS, {
        ...signed.decision,
        effect: 'deny',
        reason: 'content-mismatch',
        evidence: 'E1',
        signatureFault: 'the content is not what was signed',
      }),
    ]);
    const paid = await verified(data.path, 0, [vkey, authority]);
    expect(paid.out.split('\n')[1]).toBe(
      '  POST /payments by spiffe://bank.example/partner/example: permit (policy-permits), evidence E2; answered 200 by the resource',
    );
    expect(paid.json).toMatchObject({
      decision: { effect: 'permit', enforced: true, reason: 'policy-permits', evidence: 'E2' },
      outcome: { status: 200, forwarded: true },
    });
    const refused = await verified(data.path, 2, [vkey, authority]);
    expect(refused.out.split('\n')[1]).toBe(
      '  POST /payments by spiffe://bank.example/partner/example: deny (content-mismatch), evidence E1; answered 403 without asking the resource',
    );
    expect(refused.out).toContain(
      '  BAD  subject signature: the point did not take it: the content is not what was signed',
    );
    expect(refused.json).toMatchObject({
      result: 'bad',
      decision: {
        effect: 'deny',
        reason: 'content-mismatch',
        evidence: 'E1',
        signatureFault: 'the content is not what was signed',
      },
      outcome: { status: 403, forwarded: false },
    });
    expect([refused.headline, refused.code]).toEqual(['BAD', EXIT.negative]);
  });

  test("proves an event of the authority's log, which nobody signs", async () => {
    await using data = await temporaryFolder();
    const { authority } = await written(data.path);
    const file = join(data.path, 'evidence.json');
    const words = ['--data', data.path, '--log', 'authority', '--out', file];
    await countersign(['ledger', 'evidence', '0', ...words]);
    const verify = ['ledger', 'verify', '--evidence', file, '--vkey', authority];
    const { code, out } = await countersign(verify);
    expect(out).toContain(`good  ${file}\n  an event of kind administration\n`);
    expect(code).toBe(EXIT.ok);
  });

  test('never reads good once its outcome or its credential was taken out', async () => {
    await using data = await temporaryFolder();
    const { vkey, authority } = await written(data.path);
    for (const [role, told] of [
      ['outcome', 'whether the request reached the resource is not told'],
      ['credential', 'whose the certificate is, nothing but itself says'],
    ] as const) {
      const found = await verified(data.path, 2, [vkey, authority], (file) => {
        file.entries = file.entries.filter((entry) => entry.role !== role);
      });
      expect(found.out).toContain(`  unknown  ${role}: the file holds none: ${told}`);
      expect([found.headline, found.code]).toEqual(['unknown', EXIT.failed]);
    }
  });

  test("never reads good for a certificate in a partner's name that nobody registered", async () => {
    await using data = await temporaryFolder();
    const { vkey: authority } = await writeLog(data.path, 'authority', [signed.registration]);
    const { decision } = await signedExchange();
    const { vkey } = await writeLog(data.path, 'edge', exchange('a', START_MS, decision));
    const found = await verified(data.path, 0, [vkey, authority]);
    expect(found.out).toContain('  good  subject certificate: ');
    expect([found.headline, found.code]).toEqual(['unknown', EXIT.failed]);
  });

  test('is bad when its first entry is called something else', async () => {
    await using data = await temporaryFolder();
    const { vkey, authority } = await written(data.path);
    const found = await verified(data.path, 2, [vkey, authority], ({ entries: [first] }) => {
      if (first) first.role = 'payment';
    });
    expect(found.out).toContain("expected 'subject'");
    expect([found.headline, found.code]).toEqual(['BAD', EXIT.negative]);
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
    expect(asked.err).toContain(
      "found authority, edge, inner and no bundle that says which is a gateway's",
    );
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

  test('wants every witness that is named to have cosigned, and takes no quorum', async () => {
    await using data = await temporaryFolder();
    const { vkey, authority } = await written(data.path);
    const { out } = await countersign(['ledger', 'evidence', '2', '--data', data.path]);
    const file = join(data.path, 'evidence.json');
    await writeFile(file, out);
    const { privateKey } = generateKeyPairSync('ed25519');
    const witness = cosignerVerifierKey(cosignerKey({ name: 'witness.example', privateKey }));
    const words = ['ledger', 'verify', '--evidence', file, '--vkey', vkey, '--vkey', authority];
    const found = await countersign([...words, '--witness', witness]);
    expect(found.code).toBe(EXIT.negative);
    expect(found.out).toContain('BAD  subject witness: could not open note: found 1 signatures');
    const asked = await countersign([...words, '--witness', witness, '--quorum', '1']);
    expect([asked.code, asked.out]).toEqual([EXIT.usage, '']);
    expect(asked.err).toContain('found --quorum beside --evidence');
  });
});
