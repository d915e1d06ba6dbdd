import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  addSignatures,
  type CosignerKey,
  cosign,
  cosignatureVerifier,
  cosignerKey,
  cosignerVerifierKey,
  ed25519NoteSigner,
  formatCheckpoint,
  openCheckpoint,
  openCosignedCheckpoint,
  openNote,
  parseCosignerKey,
  parseVerifierKey,
  signNote,
  verifierKey,
  witnessPolicy,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf, fixedPostQuantumKey, foreignKey, witnessKeys } from './support/cosigned.ts';
import { fixedKey, key, must, ORIGIN, signer, verifier, vkey } from './support/sample-log.ts';

const vector = JSON.parse(
  readFileSync(new URL('vectors/cosigned-checkpoint.json', import.meta.url), 'utf8'),
) as Record<'note' | 'logVkey' | 'edVkey' | 'mlVkey' | 'edSkey', string>;

const [ed, pq] = witnessKeys('witness.example/w1', 11);
const [edOther, pqOther] = witnessKeys('witness.example/w2', 12);
const AT = 1_760_000_000;
const text = formatCheckpoint({ origin: ORIGIN, size: 7, root: Buffer.alloc(32, 9) });
const signed = await signNote(text, signer);

async function cosigned(...keys: readonly CosignerKey[]): Promise<string> {
  const lines = keys.map((each) => cosign(text, { key: each, atSeconds: AT }));
  return addSignatures(signed, await Promise.all(lines));
}

test('opens a checkpoint that the Go implementation signed, with both of its cosignatures', () => {
  const verifiers = [parseCosignerKey(vector.edVkey), parseCosignerKey(vector.mlVkey)];
  const opened = openNote(vector.note, [parseVerifierKey(vector.logVkey), ...verifiers]);
  expect(opened.signers.map(({ keyId }) => keyId)).toEqual(
    [vector.logVkey, vector.edVkey, vector.mlVkey].map((each) => each.split('+')[1]),
  );
  for (const { atSeconds } of opened.signers.slice(1)) {
    expect(atSeconds).toBeGreaterThan(1_700_000_000);
  }
  const log = [parseVerifierKey(vector.logVkey)];
  const checkpoint = openCosignedCheckpoint(vector.note, {
    log,
    policy: witnessPolicy({ quorum: 1, verifiers }),
  });
  expect(checkpoint.size).toBe(20_852_163);
  expect(checkpoint.cosignatures).toHaveLength(1);
});

test('refuses the Go implementation’s cosignatures when any byte of what they sign is another', () => {
  const changed = vector.note.replace('20852163', '20852164');
  for (const each of [vector.edVkey, vector.mlVkey]) {
    expect(() => openNote(changed, [parseCosignerKey(each)])).toThrow(
      "found a wrong signature of 'witness.example/w1'",
    );
  }
});

test('cosigns with Ed25519 to the byte as the Go implementation does', async () => {
  const line = must(vector.note.split('\n').find((each) => each.includes(' 3xwKNQ')));
  const blob = Buffer.from(must(line.split(' ')[2]), 'base64');
  const atSeconds = Number(blob.readBigUInt64BE(4));
  const privateKey = fixedKey(2);
  const own = cosignerKey({ name: 'witness.example/w1', privateKey });
  expect(cosignerVerifierKey(own)).toBe(vector.edVkey);
  const { text: signedText } = openNote(vector.note, [parseVerifierKey(vector.logVkey)]);
  expect(await cosign(signedText, { key: own, atSeconds })).toBe(`${line}\n`);
});

test('signs what the specification draws, byte for byte', async () => {
  const seen: Buffer[] = [];
  const spy = (each: CosignerKey): CosignerKey => ({
    ...each,
    sign(message) {
      seen.push(Buffer.from(message));
      return each.sign(message);
    },
  });
  await cosign(text, { key: spy(ed), atSeconds: AT });
  await cosign(text, { key: spy(pq), atSeconds: AT });
  expect(seen[0]?.toString()).toBe(`cosignature/v1\ntime ${AT}\n${text}`);
  const u64 = (value: number) => value.toString(16).padStart(16, '0');
  const hex = (value: string) =>
    Buffer.from([value.length]).toString('hex') + Buffer.from(value).toString('hex');
  expect(seen[1]?.toString('hex')).toBe(
    `${Buffer.from('subtree/v1\n\0').toString('hex')}${hex('witness.example/w1')}${u64(AT)}${hex(ORIGIN)}${u64(0)}${u64(7)}${'09'.repeat(32)}`,
  );
});

test('computes key IDs over name, type and key', () => {
  for (const [each, type] of [
    [ed, 0x04],
    [pq, 0x06],
  ] as const) {
    const [name, keyId, encoded] = cosignerVerifierKey(each).split(/\+(.{8})\+/);
    const typed = Buffer.concat([Buffer.of(type), each.publicKey]);
    expect([name, encoded]).toEqual(['witness.example/w1', typed.toString('base64')]);
    const hash = createHash('sha256').update(`${name}\n`).update(typed).digest('hex');
    expect(keyId).toBe(hash.slice(0, 8));
  }
  // Of the tests of github.com/transparency-dev/formats.
  const remora = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2';
  expect(parseCosignerKey(remora)).toMatchObject({ kind: 'ed25519', keyId: 'da77ade7' });
});

test('reads back every key that it writes, and refuses it under another name', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9./-]{1,255}$/),
      fc.uint8Array({ minLength: 1312, maxLength: 1312 }),
      (name, publicKey) => {
        const written = cosignerVerifierKey({ kind: 'ml-dsa-44', name, publicKey });
        const read = parseCosignerKey(`${written}\n`);
        expect(read).toMatchObject({ kind: 'ml-dsa-44', name });
        expect(Buffer.compare(read.publicKey, publicKey)).toBe(0);
        expect(() => parseCosignerKey(`x${written}`)).toThrow('found key ID');
      },
    ),
    { numRuns: 50 },
  );
});

test('takes no log’s key for a witness’s, no witness’s for a log’s, and no other kinds of key', async () => {
  expect(() => parseCosignerKey(vkey)).toThrow('found signature type 1, expected 4');
  expect(() => parseVerifierKey(cosignerVerifierKey(ed))).toThrow('found signature type 4');
  const name = 'witness.example/w1';
  const long = 'n'.repeat(256);
  const { publicKey } = pq;
  const refused = [
    () => cosignerKey({ name, privateKey: foreignKey() }),
    () => cosignerKey({ name: 'a b', privateKey: key }),
    () => cosignerKey({ name: long, privateKey: fixedPostQuantumKey(1) }),
    () => cosignerVerifierKey({ kind: 'ed25519', name, publicKey }),
    () => cosignerVerifierKey({ kind: 'ml-dsa-44', name: long, publicKey }),
    () => parseCosignerKey(''),
    () => parseCosignerKey(`${name}+00000000+BOvN`),
  ];
  for (const action of refused) expect(await codeOf(action)).toBe('ERR_LEDGER_KEY_INVALID');
  // The longest name that the signed structure holds.
  expect(cosignerVerifierKey({ kind: 'ml-dsa-44', name: 'n'.repeat(255), publicKey })).toContain(
    'n+',
  );
});

test('ignores witnesses that it does not know, and refuses a note in which a known one fails', async () => {
  const note = await cosigned(ed, pq);
  expect(openCheckpoint(note, [verifier]).size).toBe(7);
  expect(openNote(note, [verifier, cosignatureVerifier(edOther)]).signers).toHaveLength(1);
  const other = formatCheckpoint({ origin: ORIGIN, size: 8, root: Buffer.alloc(32, 9) });
  for (const each of [ed, pq]) {
    const wrong = await cosign(other, { key: each, atSeconds: AT });
    const lying = addSignatures(signed, [wrong]);
    expect(openNote(lying, [verifier]).signers).toHaveLength(1);
    const action = () => openNote(lying, [verifier, cosignatureVerifier(each)]);
    expect(await codeOf(action)).toBe('ERR_LEDGER_NOTE_UNVERIFIED');
  }
});

test('believes no other time than the one that was signed', async () => {
  for (const each of [ed, pq]) {
    const line = await cosign(text, { key: each, atSeconds: AT });
    const [, , encoded = ''] = line.trimEnd().split(' ');
    const blob = Buffer.from(encoded, 'base64');
    blob.writeBigUInt64BE(BigInt(AT + 1), 4);
    const late = `\u2014 ${each.name} ${blob.toString('base64')}\n`;
    const action = () => openNote(`${text}\n${late}`, [cosignatureVerifier(each)]);
    expect(await codeOf(action)).toBe('ERR_LEDGER_NOTE_UNVERIFIED');
    const { signers } = openNote(`${text}\n${line}`, [cosignatureVerifier(each)]);
    expect(signers[0]?.atSeconds).toBe(AT);
  }
});

test('refuses to cosign what is no checkpoint, at no time, or with a key that is not its own', async () => {
  const broken = { ...ed, publicKey: edOther.publicKey };
  expect(await codeOf(() => cosign('hello\n', { key: ed, atSeconds: AT }))).toBe(
    'ERR_LEDGER_CHECKPOINT_MALFORMED',
  );
  const long = formatCheckpoint({ origin: 'o'.repeat(256), size: 0, root: Buffer.alloc(32) });
  expect(await codeOf(() => cosign(long, { key: pq, atSeconds: AT }))).toBe(
    'ERR_LEDGER_CHECKPOINT_MALFORMED',
  );
  for (const atSeconds of [0, -1, 1.5, 2 ** 53]) {
    expect(await codeOf(() => cosign(text, { key: ed, atSeconds }))).toBe('ERR_LEDGER_OPTION');
  }
  expect(await codeOf(() => cosign(text, { key: broken, atSeconds: AT }))).toBe(
    'ERR_LEDGER_KEY_MISMATCH',
  );
});

test('asks for k of n witnesses, and counts the two keys of one witness once', async () => {
  const all = [ed, pq, edOther, pqOther].map(cosignatureVerifier);
  const log = [verifier];
  const open = (note: string, quorum: number) =>
    openCosignedCheckpoint(note, { log, policy: witnessPolicy({ quorum, verifiers: all }) });
  expect(open(signed, 0).cosignatures).toEqual([]);
  expect(() => open(signed, 1)).toThrow('found cosignatures of none, expected 1');
  expect(open(await cosigned(ed, pq), 1).cosignatures).toEqual([{ name: ed.name, atSeconds: AT }]);
  const one = await cosigned(ed, pq);
  expect(await codeOf(() => open(one, 2))).toBe('ERR_LEDGER_WITNESSES_MISSING');
  expect(open(await cosigned(pq, edOther), 2).cosignatures).toHaveLength(2);
});

test('asks for the log’s own signature whatever the witnesses say', async () => {
  const line = await cosign(text, { key: ed, atSeconds: AT });
  const policy = witnessPolicy({ quorum: 1, verifiers: [cosignatureVerifier(ed)] });
  const unsigned = `${text}\n${line}`;
  expect(await codeOf(() => openCosignedCheckpoint(unsigned, { log: [verifier], policy }))).toBe(
    'ERR_LEDGER_NOTE_UNVERIFIED',
  );
  const stranger = parseVerifierKey(verifierKey('stranger.example', fixedKey(3)));
  const forged = addSignatures(unsigned, [
    must(
      (
        await signNote(text, ed25519NoteSigner({ name: 'stranger.example', privateKey: key }))
      ).split('\n\n')[1],
    ),
  ]);
  expect(await codeOf(() => openCosignedCheckpoint(forged, { log: [stranger], policy }))).toBe(
    'ERR_LEDGER_NOTE_UNVERIFIED',
  );
});

test('makes no policy that nobody could meet, or in which one key counts twice', async () => {
  const verifiers = [ed, edOther].map(cosignatureVerifier);
  for (const quorum of [-1, 3, 0.5]) {
    expect(await codeOf(() => witnessPolicy({ quorum, verifiers }))).toBe('ERR_LEDGER_OPTION');
  }
  expect(witnessPolicy({ quorum: 2, verifiers }).quorum).toBe(2);
  const twice = [...verifiers, cosignatureVerifier({ ...ed, name: 'witness.example/w3' })];
  expect(() => witnessPolicy({ quorum: 2, verifiers: twice })).toThrow(
    "found one key under the names 'witness.example/w1' and 'witness.example/w3'",
  );
});

test('adds signatures below a note once each, and none that are malformed or too many', async () => {
  const line = await cosign(text, { key: ed, atSeconds: AT });
  const note = addSignatures(signed, [line, line]);
  expect(note).toBe(`${signed}${line}`);
  expect(addSignatures(note, [line])).toBe(note);
  expect(await codeOf(() => addSignatures(signed, ['hello\n']))).toBe('ERR_LEDGER_NOTE_MALFORMED');
  const many = Array.from({ length: 64 }, (_, at) => line.replace('w1', `w${at}`));
  expect(await codeOf(() => addSignatures(signed, many))).toBe('ERR_LEDGER_NOTE_MALFORMED');
});
