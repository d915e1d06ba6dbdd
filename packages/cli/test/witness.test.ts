import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  askWitness,
  consistencyProof,
  createWitnessGroup,
  ed25519NoteSigner,
  encodeAddCheckpoint,
  formatCheckpoint,
  httpWitnessPost,
  MerkleTree,
  openCosignedCheckpoint,
  parseCosignerKey,
  parseVerifierKey,
  rootAt,
  signNote,
  verifierKey,
  type WitnessPost,
  witnessPolicy,
} from '@countersign/ledger';
import { expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const NAME = 'witness.audit.example/w1';
const ORIGIN = 'bank.example/checkpoints';
const { privateKey } = generateKeyPairSync('ed25519');
const signer = ed25519NoteSigner({ name: ORIGIN, privateKey });
const vkey = verifierKey(ORIGIN, privateKey);

/** A log's tree whose entries from `forkAt` on are another history's. */
function treeOf(size: number, forkAt = size): MerkleTree {
  const tree = new MerkleTree();
  for (let at = 0; at < size; at++) tree.append(Buffer.from(`${at < forkAt ? '' : 'x'}${at}`));
  return tree;
}

function checkpointOf(tree: MerkleTree, size = tree.size): Promise<string> {
  return signNote(formatCheckpoint({ origin: ORIGIN, size, root: rootAt(tree, size) }), signer);
}

async function init(data: string, env = {}): Promise<readonly string[]> {
  const made = await countersign(['witness', 'init', NAME, '-d', data], { env });
  expect(made).toMatchObject({ code: 0, err: '' });
  return made.out.trim().split('\n');
}

/** Runs a witness until `stop`. */
async function start(data: string, words: readonly string[] = []) {
  const controller = new AbortController();
  const ready = Promise.withResolvers<string>();
  const ran = countersign(
    ['witness', '-d', data, '--listen', '127.0.0.1:0', '--log', vkey, ...words],
    { stop: controller.signal, onOut: (text) => ready.resolve(text) },
  );
  const first = await Promise.race([ready.promise, ran.then(({ err }) => Promise.reject(err))]);
  const { url } = JSON.parse(first) as { url: string };
  return {
    url,
    post: (oldSize: number, proof: Uint8Array[], checkpoint: string) =>
      fetch(`${url}/add-checkpoint`, {
        method: 'POST',
        body: encodeAddCheckpoint({ oldSize, proof, checkpoint }),
      }),
    stop: (): Promise<Ran> => {
      controller.abort();
      return ran;
    },
  };
}

test('init makes keys that only their owner reads, prints what others verify by, and makes none twice', async () => {
  await using data = await temporaryFolder();
  const vkeys = await init(data.path);
  expect(vkeys.map((line) => parseCosignerKey(line))).toMatchObject([
    { kind: 'ed25519', name: NAME },
    { kind: 'ml-dsa-44', name: NAME },
  ]);
  const folder = join(data.path, 'witness');
  expect((await stat(join(folder, 'key.pem'))).mode & 0o777).toBe(0o600);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await readFile(join(folder, 'vkey'), 'utf8')).trim().split('\n')).toEqual(vkeys);
  const again = await countersign(['witness', 'init', NAME, '-d', data.path]);
  expect(again.code).toBe(3);
  expect(again.err).toContain('found one there');
  const elsewhere = await countersign(['witness', 'init', 'a b', '-d', join(data.path, 'other')]);
  expect(elsewhere.code).toBe(3);
  expect(await readdir(data.path)).toEqual(['witness']);
});

test('cosigns what a group of witnesses is asked for, says so, and remembers it after a restart', async () => {
  await using data = await temporaryFolder();
  const vkeys = await init(data.path);
  const { post, close } = httpWitnessPost();
  const policy = witnessPolicy({ quorum: 1, verifiers: vkeys.map(parseCosignerKey) });
  const tree = treeOf(40);
  const log = [parseVerifierKey(vkey)];
  for (const size of [10, 40]) {
    const witness = await start(data.path);
    const cosigned = Promise.withResolvers<string>();
    const group = createWitnessGroup({
      ...{ log, policy, post, now: Date.now, onCosigned: cosigned.resolve },
      urls: new Map([[NAME, witness.url]]),
      prove: async (from, to) => consistencyProof(tree, { from, to }),
    });
    group.submit(await checkpointOf(tree, size));
    const opened = openCosignedCheckpoint(await cosigned.promise, { log, policy });
    expect(opened).toMatchObject({ size, cosignatures: [{ name: NAME }] });
    await group.close();
    const { code, out, err } = await witness.stop();
    expect(code).toBe(0);
    // Of a log that it has forgotten, or never seen, it must not be believed more than it knows.
    if (size === 10)
      expect(err).toMatch(/^countersign witness: \{.*"new":"bank\.example\/checkpoints"/);
    else expect(err).toBe('');
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ ready: true, name: NAME, logs: [ORIGIN] });
    expect(lines[1]).toMatchObject({ cosigned: ORIGIN, size, oldSize: size === 10 ? 0 : 10 });
  }
  close();
});

test('tells refusals loudly, and keeps the proof of a second history', async () => {
  await using data = await temporaryFolder();
  await init(data.path);
  const witness = await start(data.path);
  const [tree, other] = [treeOf(20), treeOf(20, 5)];
  expect((await witness.post(0, [], await checkpointOf(tree))).status).toBe(200);
  const forked = await checkpointOf(other);
  expect((await witness.post(0, [], forked)).status).toBe(409);
  expect((await witness.post(20, [], forked)).status).toBe(422);
  expect((await witness.post(0, [], forked.replace(ORIGIN, 'elsewhere'))).status).toBe(404);
  // Only asks where the witness stands: nothing to tell.
  expect((await witness.post(0, [], await checkpointOf(tree))).status).toBe(409);
  const { err } = await witness.stop();
  const told = err
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line.replace('countersign witness: ', '')));
  expect(told[0]).toMatchObject({ new: ORIGIN });
  expect(told.slice(1).map(({ refused, origin, size }) => [refused, origin, size])).toEqual([
    ['fork', ORIGIN, 20],
    ['unknown-log', 'elsewhere', 20],
  ]);
  const files = await readdir(join(data.path, 'witness'));
  const [proof = ''] = files.filter((name) => name.endsWith('.fork'));
  expect(await readFile(join(data.path, 'witness', proof), 'utf8')).toBe(forked);
});

test('reads logs from a file, with comments, several keys, and origins that are not the key’s name', async () => {
  await using data = await temporaryFolder();
  await init(data.path);
  const second = verifierKey('renewed', generateKeyPairSync('ed25519').privateKey);
  const file = join(data.path, 'logs');
  await writeFile(file, `# watched\n${second} ${ORIGIN}\n\n${second} a b\n`);
  const witness = await start(data.path, ['--log', file]);
  const { out } = await witness.stop();
  expect(JSON.parse(out).logs).toEqual([ORIGIN, 'a b']);
  await writeFile(file, '# none\nx+y+z\n');
  const wrong = await countersign([
    'witness',
    '-d',
    data.path,
    '--listen',
    '127.0.0.1:0',
    '--log',
    file,
  ]);
  expect(wrong.code).toBe(3);
  expect(wrong.err).toContain(`the log of ${file}:2: could not read verifier key`);
});

test('opens encrypted keys with their passphrase only', async () => {
  await using data = await temporaryFolder();
  await init(data.path, { COUNTERSIGN_PASSPHRASE: 'correct horse battery' });
  expect(await readFile(join(data.path, 'witness', 'key.pem'), 'utf8')).toContain('ENCRYPTED');
  await expect(start(data.path)).rejects.toContain('expected the passphrase');
  const file = join(data.path, 'passphrase');
  await writeFile(file, 'correct horse battery\n');
  await (await start(data.path, ['--passphrase-file', file])).stop();
});

test('does not start without its memory, a log, a place to listen or half of a certificate', async () => {
  await using data = await temporaryFolder();
  const vkeys = await init(data.path);
  const run = (...words: string[]) => countersign(['witness', '-d', data.path, ...words]);
  const listen = ['--listen', '127.0.0.1:0'];
  expect(await run(...listen)).toMatchObject({ code: 2, err: expect.stringContaining('--log') });
  expect(await run('--log', vkey)).toMatchObject({
    code: 2,
    err: expect.stringContaining('host:port'),
  });
  expect(await run(...listen, '--log', vkey, '--cert', 'x')).toMatchObject({ code: 2 });
  expect(await run(...listen, '--log', 'missing')).toMatchObject({ code: 3 });
  const own = await run(...listen, '--log', vkeys[0] ?? '');
  expect(own.err).toContain('found signature type 4, expected 1');
  const witness = await start(data.path);
  const second = await run(...listen, '--log', vkey);
  expect(second).toMatchObject({ code: 3, err: expect.stringContaining('another writer') });
  await witness.stop();
  await rm(join(data.path, 'witness', 'vkey'));
  const lost = await run(...listen, '--log', vkey);
  expect(lost).toMatchObject({ code: 3, err: expect.stringContaining('make a new witness') });
});

test('serves TLS with the certificate that it is given, to whoever trusts it', async () => {
  await using data = await temporaryFolder();
  const vkeys = await init(data.path);
  const [cert, certKey] = [join(data.path, 'tls.pem'), join(data.path, 'tls.key')];
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', certKey, '-out', cert, '-days', '1', '-subj', '/CN=witness'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1'],
  ]);
  const witness = await start(data.path, ['--cert', cert, '--cert-key', certKey]);
  expect(witness.url).toMatch(/^https:/);
  const checkpoint = await checkpointOf(treeOf(7));
  const ask = (post: WitnessPost) =>
    askWitness(checkpoint, {
      ...{ url: witness.url, verifiers: vkeys.map(parseCosignerKey), oldSize: 0, logSize: 7 },
      ...{ prove: async () => [], post, now: Date.now, signal: AbortSignal.timeout(10_000) },
    });
  const stranger = httpWitnessPost();
  expect(await ask(stranger.post)).toMatchObject({
    code: 'unreachable',
    detail: expect.stringContaining('certificate'),
  });
  const trusting = httpWitnessPost({ ca: await readFile(cert, 'utf8') });
  expect(await ask(trusting.post)).toMatchObject({ kind: 'cosigned' });
  stranger.close();
  trusting.close();
  await witness.stop();
});
