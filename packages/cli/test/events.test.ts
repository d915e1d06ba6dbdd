import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commands, dataFolder, type Io, runCommandLine } from '@countersign/cli';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';
import { afterEach, beforeEach, expect, test } from 'vitest';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'countersign-events-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const ORIGIN = 'bank.example/edge';
const DENIED = {
  kind: 'decision',
  effect: 'deny',
  enforced: true,
  reason: 'policy-none-permits',
  surface: 'accounts',
  action: 'GetAccount',
  policyVersion: '',
  factSequence: 0,
};

/** Writes the log of the point `edge` with these events, and gives what `countersign events` shows of it. */
async function shown(
  events: readonly (Record<string, unknown> | string)[],
  isTerminal = false,
): Promise<string> {
  await write(events);
  return await shownOf(isTerminal);
}

/** Writes a log at the point, or where the authority keeps its copy. */
async function write(
  events: readonly (Record<string, unknown> | string)[],
  {
    folder = dataFolder(root).point('edge').log,
    privateKey = generateKeyPairSync('ed25519').privateKey,
  } = {},
): Promise<void> {
  const log = await openLog({
    origin: ORIGIN,
    signer: ed25519NoteSigner({ name: ORIGIN, privateKey }),
    disk: nodeDisk(folder),
    now: Date.now,
  });
  for (const event of events) {
    const place = { v: 1, id: 'a', at: 1, origin: ORIGIN, seq: log.nextIndex };
    const text = typeof event === 'string' ? event : JSON.stringify({ ...place, ...event });
    await log.durable(log.append(Buffer.from(text)));
  }
  await log.close();
}

async function shownOf(isTerminal = false): Promise<string> {
  let text = '';
  const io: Io = {
    out(more) {
      text += more;
    },
    err: () => undefined,
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
  const common = { kind: 'authentication', result: 'refused', listener: 'partners' };
  const text = await shown([{ ...common, reason: 'token-issuer', detail, ip: '127.0.0.1' }]);
  expect(text).toContain(
    "issuer '\\u{1b}]0;x\\u{7}\\u{1b}[2K\\u{d}\\u{9b}31m\\u{a}FORGED permit\\u{202e}\\u{2028}' is not known\n",
  );
  expect(text.split('\n')).toHaveLength(2);
});

test('nor can a path, while our own colours stay', async () => {
  const resource = { type: 'Accounts::Account', id: '\u009b31mé' };
  const text = await shown([{ ...DENIED, resource }], true);
  expect(text).toContain('GetAccount \\u{9b}31mé');
  expect(text).toContain('\u001b[31mdeny');
});

test('an entry that is no event of its log is an alarm, and hides nothing that follows', async () => {
  const text = await shown([
    'no event',
    { ...DENIED, origin: 'bank.example/core', subject: 'spiffe://bank.example/partner/framed' },
    { ...DENIED, seq: 7 },
    { ...DENIED, action: 'TheLast' },
  ]);
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  for (const line of lines.slice(0, 3)) expect(line).toMatch(/ edge +ALARM +event-unreadable /);
  expect(lines[1]).toContain(
    "found an event of 'bank.example/core' with seq 1, expected 'bank.example/edge' and 1",
  );
  expect(text).not.toContain('framed');
  expect(lines[3]).toMatch(/ edge +deny .* accounts TheLast /);
});

test('a log and its copy are shown once: whichever holds more', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const event = (id: string) => ({ ...DENIED, id });
  const copy = dataFolder(root).mirror('edge');
  await write([event('first')], { privateKey });
  await write([event('first')], { privateKey, folder: copy });
  await write([event('second')], { privateKey, folder: copy });
  expect((await shownOf()).trimEnd().split('\n')).toHaveLength(2);
  await write([event('second')], { privateKey });
  await write([event('third')], { privateKey });
  expect((await shownOf()).trimEnd().split('\n')).toHaveLength(3);
});
