import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commands, dataFolder, type Io, runCommandLine } from '@countersign/cli';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';
import { encodeEvent } from '@countersign/model';
import { afterEach, beforeEach, expect, test } from 'vitest';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'countersign-events-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const ORIGIN = 'bank.example/edge';

/** Writes the log of the point `edge` with one event, and gives what `countersign events` shows of it. */
async function shown(event: Record<string, unknown>, isTerminal = false): Promise<string> {
  const log = await openLog({
    origin: ORIGIN,
    signer: ed25519NoteSigner({
      name: ORIGIN,
      privateKey: generateKeyPairSync('ed25519').privateKey,
    }),
    disk: nodeDisk(dataFolder(root).point('edge').log),
    now: Date.now,
  });
  const written = { v: 1, id: 'a', at: 1, origin: ORIGIN, seq: 0, ...event };
  await log.durable(log.append(encodeEvent(written as Parameters<typeof encodeEvent>[0])));
  await log.close();
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const io: Io = {
    out: write,
    err: write,
    isTerminal,
    env: {},
    cwd: root,
    now: Date.now,
    stop: new AbortController().signal,
  };
  await runCommandLine(['events', '--data', root], { commands, version: '0', io });
  return text;
}

test('what a stranger wrote into a token cannot draw on the terminal nor forge a line', async () => {
  const detail =
    "issuer '\u001b]0;x\u0007\u001b[2K\r\u009b31m\nFORGED permit\u202e\u2028' is not known";
  const text = await shown({
    kind: 'authentication',
    result: 'refused',
    reason: 'token-issuer',
    detail,
    listener: 'partners',
    ip: '127.0.0.1',
  });
  expect(text).toContain(
    "issuer '\\u{1b}]0;x\\u{7}\\u{1b}[2K\\u{d}\\u{9b}31m\\u{a}FORGED permit\\u{202e}\\u{2028}' is not known\n",
  );
  expect(text.split('\n')).toHaveLength(2);
});

test('nor can a path, while our own colours stay', async () => {
  const text = await shown(
    {
      kind: 'decision',
      effect: 'deny',
      enforced: true,
      reason: 'policy-none-permits',
      surface: 'accounts',
      action: 'GetAccount',
      resource: { type: 'Accounts::Account', id: '\u009b31mé' },
      policyVersion: '',
      factSequence: 0,
    },
    true,
  );
  expect(text).toContain('GetAccount \\u{9b}31mé');
  expect(text).toContain('\u001b[31mdeny');
});
