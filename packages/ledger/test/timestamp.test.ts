import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Evidence,
  nodeDisk,
  proveEntry,
  timestampChecker,
  verifyEvidence,
} from '@countersign/ledger';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  appendCommits,
  must,
  openSample,
  temporaryFolder,
  verifier,
  vkey,
} from './support/sample-log.ts';

// The authority is OpenSSL's own (`openssl ts`): another hand made what is read here.

const { folder, remove } = temporaryFolder();
const verifiers = [verifier];
const log = { disk: nodeDisk(join(folder, 'log')) };
let evidence: Evidence;
let token: Buffer;

const openssl = (...words: readonly string[]) =>
  execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });

function makeAuthority(
  name: string,
  algorithm: readonly string[],
  usage = 'critical,timeStamping',
) {
  openssl(
    'req',
    '-x509',
    '-newkey',
    ...algorithm,
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-subj',
    `/CN=${name}`,
    '-days',
    '30',
    '-addext',
    `extendedKeyUsage=${usage}`,
  );
  writeFileSync(
    join(folder, `${name}.cnf`),
    [
      '[tsa]',
      `serial = ${name}.serial`,
      `signer_cert = ${name}.pem`,
      `signer_key = ${name}.key`,
      'signer_digest = sha256',
      'default_policy = 1.2.3.4',
      'digests = sha256, sha512',
      'ess_cert_id_chain = no',
      '',
    ].join('\n'),
  );
  writeFileSync(join(folder, `${name}.serial`), '01\n');
}

function stamp(name: string, note: string): Buffer {
  writeFileSync(join(folder, 'note'), note);
  openssl('ts', '-query', '-data', 'note', '-sha256', '-cert', '-out', 'query');
  openssl(
    'ts',
    '-reply',
    '-config',
    `${name}.cnf`,
    '-section',
    'tsa',
    '-queryfile',
    'query',
    '-out',
    'reply',
  );
  return readFileSync(join(folder, 'reply'));
}

const pem = (name: string) => readFileSync(join(folder, `${name}.pem`));
const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

beforeAll(async () => {
  const writing = await openSample(log.disk);
  await appendCommits(writing, [5, 4]);
  await writing.close();
  const proven = await proveEntry(log.disk, { index: 3, role: 'subject', verifiers });
  makeAuthority('stamper', EC);
  makeAuthority('other', EC);
  makeAuthority('website', EC, 'serverAuth');
  makeAuthority('rsa', ['rsa:2048']);
  token = stamp('stamper', proven.checkpoint);
  evidence = { entries: [{ ...proven, timestamps: [token] }], verifierKeys: [vkey] };
}, 60_000);
afterAll(remove);

const verify = (authorities: readonly Buffer[], timestamps: readonly Uint8Array[] = [token]) =>
  verifyEvidence(
    { ...evidence, entries: [{ ...must(evidence.entries[0]), timestamps }] },
    { verifiers, checkTimestamp: timestampChecker(authorities) },
  );

describe('a timestamp over a checkpoint', () => {
  test('of an authority that was brought along is good, and says when', () => {
    const report = verify([pem('other'), pem('stamper')]);
    expect(report.ok).toBe(true);
    const { result, detail } = must(report.checks.at(-1));
    expect([result, detail]).toEqual([
      'good',
      expect.stringMatching(/^it existed at \d{4}-\d\d-\d\dT[\d:.]+Z, says CN=stamper$/),
    ]);
    const at = Date.parse(/at (\S+),/.exec(detail)?.[1] as string);
    expect(Math.abs(Date.now() - at)).toBeLessThan(300_000);
  });

  test('of an RSA authority is good too', () => {
    const { checkpoint } = must(evidence.entries[0]);
    expect(verify([pem('rsa')], [stamp('rsa', checkpoint)]).ok).toBe(true);
  });

  test('of another authority, or over another checkpoint, is bad', () => {
    const { checkpoint } = must(evidence.entries[0]);
    for (const report of [
      verify([pem('other')]),
      verify([]),
      verify([pem('stamper')], [stamp('stamper', `${checkpoint} `)]),
      verify([pem('stamper')], [Buffer.from('no token')]),
      verify([pem('stamper')], [token.subarray(0, 100)]),
    ]) {
      expect(report.ok).toBe(false);
      expect(report.checks.at(-1)).toMatchObject({ part: 'timestamp', result: 'bad' });
    }
  });

  test('with a flipped bit in what is signed, or in the signature, is bad', () => {
    // What the authority signs begins with the policy, and the signature ends the response; between them stands
    // the authority's certificate, which is not looked at: the verifier brings its own.
    const policy = token.indexOf(Buffer.from('06032a0304', 'hex'));
    const places = [
      ...Array.from({ length: 60 }, (_, at) => policy + 10 + at),
      ...Array.from({ length: 60 }, (_, at) => token.length - 61 + at),
    ];
    for (const at of places) {
      const flipped = Buffer.from(token);
      flipped[at] = (flipped[at] as number) ^ 1;
      expect([at, verify([pem('stamper')], [flipped]).ok]).toEqual([at, false]);
    }
  });

  test('by a certificate that is not for time stamping is refused at once', () => {
    expect(() => timestampChecker([pem('website')])).toThrow('not for time stamping');
    expect(() => timestampChecker(['x'])).toThrow('found none');
  });
});

describe('evidence under a checkpoint of before', () => {
  test('is proven by that checkpoint, also when the log has grown', async () => {
    const { checkpoint } = must(evidence.entries[0]);
    const writing = await openSample(log.disk);
    await appendCommits(writing, [30]);
    const options = { index: 3, role: 'subject', verifiers, checkpoint };
    const proven = await proveEntry(log.disk, options);
    await writing.close();
    expect(proven.checkpoint).toBe(checkpoint);
    const stamped = { entries: [{ ...proven, timestamps: [token] }], verifierKeys: [vkey] };
    const checkTimestamp = timestampChecker([pem('stamper')]);
    expect(verifyEvidence(stamped, { verifiers, checkTimestamp }).ok).toBe(true);
    await expect(proveEntry(log.disk, { ...options, index: 9 })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_RANGE' }),
    );
  });

  test('is refused when the log contradicts it', async () => {
    const { folder: elsewhere, remove: gone } = temporaryFolder();
    const other = await openSample(nodeDisk(elsewhere));
    await other.durable(other.append(Buffer.from('another history')));
    const checkpoint = other.checkpoint();
    await other.close();
    gone();
    const options = { index: 0, role: 'subject', verifiers, checkpoint };
    await expect(proveEntry(log.disk, options)).rejects.toThrow('contradicts');
  });
});
