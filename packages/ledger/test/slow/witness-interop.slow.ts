import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  addSignatures,
  cosign,
  cosignerVerifierKey,
  createWitnessFolder,
  formatCheckpoint,
  nodeDisk,
  openWitness,
  parseVerifierKey,
  signNote,
  witnessHandler,
} from '@countersign/ledger';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { witnessKeys } from '../support/cosigned.ts';
import { must, ORIGIN, signer, temporaryFolder, vkey } from '../support/sample-log.ts';
import { listen, stop } from '../support/witness-server.ts';

// Our witness before a client that is not ours: Go's golang.org/x/mod makes its log, proofs and notes.

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '../go/witness-client/main.go');
/** Where Debian's golang-golang-x-mod-dev puts its sources. */
const GOPATH = '/usr/share/gocode';

async function whatIsMissing(): Promise<string | undefined> {
  if (!existsSync(join(GOPATH, 'src/golang.org/x/mod/sumdb/tlog'))) {
    return 'found no golang.org/x/mod (Debian: golang-golang-x-mod-dev)';
  }
  return run('go', ['version']).then(
    () => undefined,
    () => 'found no go (Debian: golang-go)',
  );
}

const missing = await whatIsMissing();
if (missing !== undefined) {
  console.warn(`the witness's independent client is skipped: ${missing}`);
  if (process.env['CI']) throw new Error(`could not try the witness independently: ${missing}`);
}

describe.skipIf(missing !== undefined)('a witness, and a client in Go', () => {
  const { folder, remove } = temporaryFolder();
  const client = join(folder, 'witness-client');
  const keys = witnessKeys('witness.example/w1', 61);
  const [ed, pq] = keys;
  const edKey = cosignerVerifierKey(ed);

  beforeAll(async () => {
    const cache = join(import.meta.dirname, '../../../../.cache/go-build');
    const env = { GO111MODULE: 'off', GOPATH, GOFLAGS: '', GOCACHE: cache, GOTOOLCHAIN: 'local' };
    await run('go', ['build', '-o', client, SOURCE], { env: { ...process.env, ...env } });
  });
  afterAll(remove);

  test('the client has its growing log cosigned, is told where the witness stands, and verifies what it gets', async () => {
    const { stdout: goKey } = await run(client, ['key']);
    const verifier = parseVerifierKey(goKey);
    const disk = nodeDisk(join(folder, 'witness'));
    await createWitnessFolder(disk, keys);
    const logs = [{ origin: verifier.name, verifiers: [verifier] }];
    const witness = await openWitness({ disk, keys, logs, now: Date.now });
    const server = createServer(witnessHandler({ witness }));
    const url = await listen(server);
    const { stdout } = await run(client, ['run', url, edKey]);
    const sizes = [1, 2, 3, 255, 256, 257, 1000, 1000];
    // ML-DSA-44 is a kind that x/mod does not know: ignored, as the format asks.
    const lines = sizes.map((size) => `cosigned ${size}, and 1 signatures of kinds unknown here\n`);
    expect(stdout).toBe(lines.join(''));
    expect(must(witness.checkpoint(verifier.name))).toContain('\n1000\n');
    await stop(server);
    await witness.close();
  });

  test('Go opens our cosigned checkpoints, and refuses each that was changed', async () => {
    const text = formatCheckpoint({ origin: ORIGIN, size: 7, root: Buffer.alloc(32, 9) });
    const atSeconds = 1_760_000_000;
    const added = await Promise.all([ed, pq].map((key) => cosign(text, { key, atSeconds })));
    const note = addSignatures(await signNote(text, signer), added);
    const file = join(folder, 'note');
    await writeFile(file, note);
    const { stdout } = await run(client, ['open', file, vkey, edKey]);
    expect(stdout).toBe(`2 known, 1 unknown, at ${atSeconds}\n`);
    const own = must(added[0]).split(' ')[2] ?? '';
    const blob = Buffer.from(own, 'base64');
    for (const at of [4, 11, 12, 75]) {
      const changed = Buffer.from(blob);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await writeFile(file, note.replace(own.trim(), changed.toString('base64')));
      await expect(run(client, ['open', file, vkey, edKey])).rejects.toMatchObject({
        stderr: expect.stringContaining('invalid signature'),
      });
    }
  });
});
