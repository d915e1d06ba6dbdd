import { generateKeyPairSync, sign } from 'node:crypto';
import {
  ed25519NoteSigner,
  formatCheckpoint,
  type LedgerError,
  openCheckpoint,
  openNote,
  parseCheckpoint,
  parseVerifierKey,
  signNote,
  verifierKey,
} from '@countersign/ledger';
import { expect, test } from 'vitest';
import { fixedKey, key, ORIGIN, signer, verifier, vkey } from './support/sample-log.ts';

/** From the tests of golang.org/x/mod/sumdb/note, the implementation that the format comes from. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const TEXT =
  'If you think cryptography is the answer to your problem,\nthen you don\u0027t know what your problem is.\n';
const PETER_LINE =
  '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as LedgerError).code;
  }
  return 'nothing was refused';
}

test('opens the reference note of the Go implementation', () => {
  const opened = openNote(`${TEXT}\n${PETER_LINE}`, [parseVerifierKey(PETER)]);
  expect(opened).toEqual({
    text: TEXT,
    signers: [{ name: 'PeterNeumann', keyId: 'c74f20a3' }],
  });
});

test('signs as the Go implementation does', async () => {
  const seed = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
  const { createPrivateKey } = await import('node:crypto');
  const privateKey = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const peter = ed25519NoteSigner({ name: 'PeterNeumann', privateKey });
  expect(verifierKey('PeterNeumann', peter.publicKey)).toBe(PETER);
  expect(await signNote(TEXT, peter)).toBe(`${TEXT}\n${PETER_LINE}`);
});

test('computes the key ID of other implementations, and keeps a plus in the base64', () => {
  for (const line of [
    'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop',
    'TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6',
  ]) {
    expect(`${parseVerifierKey(line).name}+${parseVerifierKey(line).keyId}`).toBe(
      line.split('+').slice(0, 2).join('+'),
    );
  }
});

test('takes the example of the signed-note specification apart, and does not believe it unverified', () => {
  const example =
    'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
    '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';
  const seen: string[] = [];
  const believer = {
    name: 'quasimodo.example/salvatore',
    keyId: '367ba04b',
    verify: (message: Uint8Array, signature: Uint8Array) => {
      seen.push(Buffer.from(message).toString(), String(signature.length));
      return true;
    },
  };
  openNote(example, [believer]);
  expect(seen).toEqual([example.slice(0, example.lastIndexOf('\n\n') + 1), '64']);
  expect(code(() => openNote(example, [verifier]))).toBe('ERR_LEDGER_NOTE_UNVERIFIED');
});

test('refuses malformed verifier keys', () => {
  const mangled = [
    '',
    'example.com/foo',
    'example.com/foo+530d903a',
    'a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
    'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k!',
    'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2',
    'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2',
  ];
  for (const line of mangled)
    expect(code(() => parseVerifierKey(line))).toBe('ERR_LEDGER_KEY_INVALID');
  expect(parseVerifierKey(`${vkey}\n`).name).toBe(ORIGIN);
});

test('refuses names that notes cannot carry, and keys of another kind', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const name of ['', 'a b', 'a+b', 'a\tb', 'a\u00a0b', 'a\u2003b', 'a\u0000b', 'a\nb']) {
    expect(code(() => ed25519NoteSigner({ name, privateKey: key }))).toBe('ERR_LEDGER_KEY_INVALID');
  }
  expect(code(() => ed25519NoteSigner({ name: 'a', privateKey }))).toBe('ERR_LEDGER_KEY_INVALID');
  expect(code(() => ed25519NoteSigner({ name: 'a', privateKey: publicKey }))).toBe(
    'ERR_LEDGER_KEY_INVALID',
  );
  expect(code(() => verifierKey('a', Buffer.alloc(31)))).toBe('ERR_LEDGER_KEY_INVALID');
});

test('ignores unknown signers but refuses a note in which a known one fails', async () => {
  const note = await signNote('hello\n', signer);
  const line = note.slice('hello\n\n'.length);
  const stranger = await signNote(
    'hello\n',
    ed25519NoteSigner({ name: 'stranger.example', privateKey: fixedKey(2) }),
  );
  const strangerLine = stranger.slice('hello\n\n'.length);
  expect(openNote(`hello\n\n${strangerLine}${line}`, [verifier]).signers).toHaveLength(1);
  expect(openNote(`hello\n\n${line.repeat(16)}`, [verifier]).signers).toHaveLength(1);
  expect(code(() => openNote(stranger, [verifier]))).toBe('ERR_LEDGER_NOTE_UNVERIFIED');
  expect(code(() => openNote(note.replace('hello', 'hallo'), [verifier]))).toBe(
    'ERR_LEDGER_NOTE_UNVERIFIED',
  );
  // One good signature does not excuse a wrong one by a known key.
  const strangerKey = parseVerifierKey(verifierKey('stranger.example', fixedKey(2)));
  const wrong = sign(null, Buffer.from('other\n'), fixedKey(2));
  const wrongLine = `\u2014 stranger.example ${Buffer.concat([Buffer.from(strangerKey.keyId, 'hex'), wrong]).toString('base64')}\n`;
  expect(code(() => openNote(`hello\n\n${line}${wrongLine}`, [verifier, strangerKey]))).toBe(
    'ERR_LEDGER_NOTE_UNVERIFIED',
  );
});

test('refuses malformed notes', async () => {
  const note = await signNote('hello\n', signer);
  const mangled = [
    '',
    'hello\n',
    'hello\n\n',
    note.slice(0, -1),
    note.replace('\u2014 ', '- '),
    note.replace('hello\n', 'hel\u0000lo\n'),
    note.replace('hello\n', 'hel\rlo\n'),
    note.replace('hello\n', 'hel\ud800lo\n'),
    note.replace(/=\n$/, '\n'),
    `${note}\u2014 a AAAA\n`,
    `hello\n\n${note.slice('hello\n\n'.length).repeat(65)}`,
    `${'h'.repeat(128 * 1024)}\n\n${note.slice('hello\n\n'.length)}`,
  ];
  for (const each of mangled) {
    expect(code(() => openNote(each, [verifier]))).toBe('ERR_LEDGER_NOTE_MALFORMED');
  }
  await expect(signNote('no newline', signer)).rejects.toMatchObject({
    code: 'ERR_LEDGER_NOTE_MALFORMED',
  });
});

test('writes and reads checkpoints exactly as C2SP says', async () => {
  const text =
    'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
  const checkpoint = parseCheckpoint(text);
  expect(checkpoint.origin).toBe('example.com/behind-the-sofa');
  expect(checkpoint.size).toBe(20852163);
  expect(formatCheckpoint(checkpoint)).toBe(text);
  expect(parseCheckpoint(`${text}an extension\n`)).toEqual(checkpoint);
  const signed = await signNote(formatCheckpoint({ ...checkpoint, origin: ORIGIN }), signer);
  expect(openCheckpoint(signed, [verifier]).size).toBe(20852163);
});

test('refuses malformed checkpoints', () => {
  const root = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
  const mangled = [
    `a\n1\n${root}`,
    `a\n1\n`,
    `\n1\n${root}\n`,
    `a\n01\n${root}\n`,
    `a\n-1\n${root}\n`,
    `a\n1.5\n${root}\n`,
    `a\n9007199254740992\n${root}\n`,
    `a\n1\n${root.slice(0, -4)}\n`,
    `a\n1\n${root.replace('=', '')}\n`,
    `a\n1\n${root}\n\n`,
  ];
  for (const text of mangled) {
    expect(code(() => parseCheckpoint(text))).toBe('ERR_LEDGER_CHECKPOINT_MALFORMED');
  }
  expect(parseCheckpoint(`a\n9007199254740991\n${root}\n`).size).toBe(2 ** 53 - 1);
  const good = { origin: 'a', size: 1, root: Buffer.alloc(32) };
  for (const wrong of [
    { origin: '' },
    { origin: 'a\nb' },
    { size: -1 },
    { root: Buffer.alloc(31) },
  ]) {
    expect(code(() => formatCheckpoint({ ...good, ...wrong }))).toBe(
      'ERR_LEDGER_CHECKPOINT_MALFORMED',
    );
  }
});
