import {
  type Evidence,
  type EvidenceCheck,
  type EvidenceEntry,
  ed25519NoteSigner,
  formatCheckpoint,
  formatEvidence,
  LedgerError,
  leafHash,
  nodeDisk,
  openNote,
  parseEvidence,
  parseVerifierKey,
  proveEntry,
  signNote,
  verifierKey,
  verifyEvidence,
} from '@countersign/ledger';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  appendCommits,
  entry,
  fixedKey,
  must,
  openSample,
  temporaryFolder,
  verifier,
  vkey,
} from './support/sample-log.ts';

const { folder, remove } = temporaryFolder();
const disk = nodeDisk(folder);
const verifiers = [verifier];
let evidence: Evidence;
let text: string;

beforeAll(async () => {
  const log = await openSample(disk);
  await appendCommits(log, [3, 1, 7, 20, 6]);
  await log.close();
  const proven = await proveEntry(disk, { index: 17, role: 'subject', verifiers });
  evidence = { entries: [proven], verifierKeys: [vkey] };
  text = formatEvidence(evidence);
});
afterAll(remove);

const badParts = (checks: readonly EvidenceCheck[]) =>
  checks.filter(({ result }) => result === 'bad').map(({ part }) => part);

describe('evidence of an entry', () => {
  test('verifies from the file alone, with a key that was brought along', () => {
    const report = verifyEvidence(parseEvidence(text), { verifiers });
    expect(report.ok).toBe(true);
    expect(report.checks.map(({ part, result }) => [part, result])).toEqual([
      ['checkpoint', 'good'],
      ['entry', 'good'],
      ['proof', 'good'],
    ]);
  });

  test('says that its own keys prove nothing by themselves', () => {
    const { ok, result, checks } = verifyEvidence(evidence);
    expect([ok, result]).toEqual([false, 'unknown']);
    expect(checks[0]).toMatchObject({ part: 'verifier-key', result: 'unknown' });
  });

  test('holds the exact bytes of the entry, for every index', async () => {
    for (const index of [0, 1, 2, 16, 36]) {
      const proven = await proveEntry(disk, { index, role: 'subject', verifiers });
      expect(Buffer.from(proven.entry)).toEqual(entry(index));
      expect(verifyEvidence({ entries: [proven], verifierKeys: [vkey] }, { verifiers }).ok).toBe(
        true,
      );
    }
  });

  test('is not made beyond the log', async () => {
    await expect(proveEntry(disk, { index: 37, role: 'subject', verifiers })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_RANGE' }),
    );
  });

  test('is not made from a log that does not verify', async () => {
    const damaged = {
      ...disk,
      async read(name: string) {
        const bytes = Uint8Array.from(await disk.read(name));
        const at = Buffer.from(bytes).indexOf(entry(5));
        if (at > 0) bytes[at] = 0x58;
        return bytes;
      },
    };
    await expect(proveEntry(damaged, { index: 30, role: 'subject', verifiers })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_LEDGER_CORRUPT' }),
    );
  });

  test('under a key of somebody else in the name of the log is bad', () => {
    const other = parseVerifierKey(verifierKey(verifier.name, fixedKey(9)));
    const report = verifyEvidence(evidence, { verifiers: [other] });
    expect([report.ok, report.result]).toEqual([false, 'bad']);
    expect(badParts(report.checks)).toEqual(['checkpoint']);
  });

  test('of a log of another name that a known key signed is bad, not unknown', async () => {
    const proven = must(evidence.entries[0]);
    const { text: signed } = openNote(proven.checkpoint, verifiers);
    const privateKey = fixedKey(9);
    const note = await signNote(signed, ed25519NoteSigner({ name: 'another', privateKey }));
    const report = verifyEvidence(
      { ...evidence, entries: [{ ...proven, checkpoint: note }] },
      { verifiers: [parseVerifierKey(verifierKey('another', privateKey))] },
    );
    expect([report.result, badParts(report.checks)]).toEqual(['bad', ['checkpoint']]);
  });

  describe('of a log whose key was not brought along', () => {
    const other = parseVerifierKey(verifierKey('another', fixedKey(9)));

    test('is unknown, and nothing of it is good', () => {
      let isProven: boolean | undefined;
      const { ok, result, checks } = verifyEvidence(evidence, {
        verifiers: [other],
        checkEntries: ([only]) => {
          isProven = only?.isProven;
          expect(only?.origin).toBe('');
          return [];
        },
      });
      expect([ok, result, isProven]).toEqual([false, 'unknown', false]);
      expect(checks.map(({ part, result: each }) => [part, each])).toEqual([
        ['checkpoint', 'unknown'],
        ['proof', 'unknown'],
      ]);
      expect(checks[0]?.detail).toBe(
        `it is of '${verifier.name}': bring the key of that log along to verify it`,
      );
    });

    test('is bad all the same where it contradicts itself', () => {
      const proven = must(evidence.entries[0]);
      const of = (change: object) =>
        badParts(
          verifyEvidence(
            { ...evidence, entries: [{ ...proven, ...change }] },
            { verifiers: [other] },
          ).checks,
        );
      expect(of({ entry: Buffer.from('x') })).toEqual(['entry']);
      expect(of({ proof: proven.proof.slice(1) })).toEqual(['proof']);
      expect(of({ checkpoint: 'x' })).toEqual(['checkpoint']);
    });
  });

  test.each(['outcome', '', 'Subject'])("whose first entry has the role '%s' is bad", (role) => {
    const entries = [{ ...must(evidence.entries[0]), role }];
    const report = verifyEvidence({ ...evidence, entries }, { verifiers });
    expect([report.result, badParts(report.checks)]).toEqual(['bad', ['role']]);
  });

  test('with one role twice is bad', () => {
    const only = must(evidence.entries[0]);
    const report = verifyEvidence({ ...evidence, entries: [only, only] }, { verifiers });
    expect([report.result, badParts(report.checks)]).toEqual(['bad', ['role']]);
  });

  test('of a log that a known key of another name signed is bad', async () => {
    // One key must not speak for the logs of all others.
    const proven = must(evidence.entries[0]);
    const { text: signed } = openNote(proven.checkpoint, verifiers);
    const privateKey = fixedKey(9);
    const note = await signNote(signed, ed25519NoteSigner({ name: 'another', privateKey }));
    const other = parseVerifierKey(verifierKey('another', privateKey));
    const report = verifyEvidence(
      { ...evidence, entries: [{ ...proven, checkpoint: note }] },
      { verifiers: [other, verifier] },
    );
    expect(badParts(report.checks)).toEqual(['checkpoint']);
  });

  test('wants every witness that is asked for', async () => {
    const proven = must(evidence.entries[0]);
    const { text: signed } = openNote(proven.checkpoint, verifiers);
    const privateKey = fixedKey(7);
    const witness = parseVerifierKey(verifierKey('witness', privateKey));
    const without = verifyEvidence(evidence, { verifiers, witnesses: [witness] });
    expect(badParts(without.checks)).toEqual(['witness']);
    const line = (await signNote(signed, ed25519NoteSigner({ name: 'witness', privateKey }))).slice(
      signed.length + 1,
    );
    const cosigned = { ...proven, checkpoint: `${proven.checkpoint}${line}` };
    const found = verifyEvidence(
      { ...evidence, entries: [cosigned] },
      { verifiers, witnesses: [witness] },
    );
    expect(found.ok).toBe(true);
    expect(found.checks).toContainEqual(
      expect.objectContaining({ part: 'witness', result: 'good' }),
    );
  });

  test('takes the word of witnesses for a log that entered the checkpoint, and for that text alone', async () => {
    const proven = must(evidence.entries[0]);
    const own = { name: 'checkpoints', privateKey: fixedKey(8) };
    const witnessKey = fixedKey(7);
    const witnesses = [parseVerifierKey(verifierKey('witness', witnessKey))];
    /** A log of checkpoints with one entry, cosigned. */
    const entered = async (note: string, role = 'entered'): Promise<EvidenceEntry> => {
      const entry = Buffer.from(note);
      const leaf = leafHash(entry);
      const text = formatCheckpoint({ origin: own.name, size: 1, root: leaf });
      const signed = await signNote(text, ed25519NoteSigner(own));
      const by = ed25519NoteSigner({ name: 'witness', privateKey: witnessKey });
      const line = (await signNote(text, by)).slice(text.length + 1);
      const checkpoint = `${signed}${line}`;
      return { role, index: 0, entry, leaf, proof: [], checkpoint, timestamps: [] };
    };
    const known = [...verifiers, parseVerifierKey(verifierKey(own.name, own.privateKey))];
    const found = async (more: readonly EvidenceEntry[], options = { verifiers: known }) =>
      verifyEvidence({ ...evidence, entries: [proven, ...more] }, { ...options, witnesses });
    const good = await entered(proven.checkpoint);
    expect((await found([good])).ok).toBe(true);
    // What nobody's key proves is entered nowhere.
    expect((await found([good], { verifiers: [...verifiers] })).result).not.toBe('good');
    const another = await found([await entered(`${proven.checkpoint}\n`)]);
    expect(badParts(another.checks).toSorted()).toEqual(['entered', 'witness']);
    const unsigned = { ...good, checkpoint: good.checkpoint.split('\n').slice(0, -2).join('\n') };
    expect(
      badParts((await found([{ ...unsigned, checkpoint: `${unsigned.checkpoint}\n` }])).checks),
    ).toEqual(['witness']);
    // As an entry it supports nothing: its reader is not asked about it.
    const asked: string[] = [];
    verifyEvidence(
      { ...evidence, entries: [proven, good] },
      {
        ...{ verifiers: known, witnesses },
        checkEntries: (entries) => {
          asked.push(...entries.map(({ role }) => role));
          return [];
        },
      },
    );
    expect(asked).toEqual(['subject']);
  });

  test('counts a timestamp only when somebody looked at it', () => {
    const stamped = { ...must(evidence.entries[0]), timestamps: [Uint8Array.of(1)] };
    const of = (result?: 'good' | 'bad') =>
      verifyEvidence(
        { ...evidence, entries: [stamped] },
        { verifiers, ...(result && { checkTimestamp: () => ({ result, detail: 'x' }) }) },
      );
    expect(of().checks.at(-1)).toMatchObject({ part: 'timestamp', result: 'unknown' });
    expect(of('good').ok).toBe(true);
    expect(of('bad').ok).toBe(false);
  });

  test('asks the reader of entries, who can find it bad', () => {
    const report = verifyEvidence(evidence, {
      verifiers,
      checkEntries: ([only]) => {
        expect(only).toMatchObject({ role: 'subject', index: 17, isProven: true });
        return [{ role: 'subject', part: 'signature', result: 'bad', detail: 'x' }];
      },
    });
    expect([report.ok, badParts(report.checks)]).toEqual([false, ['signature']]);
  });
});

describe('every flipped bit is found, and its part named', () => {
  /** Evidence with one bit of one byte string flipped. */
  function* flips(bytes: Uint8Array): Generator<Uint8Array> {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      yield flipped;
    }
  }
  const partsOf = (changed: object) => {
    const entries = [{ ...must(evidence.entries[0]), ...changed }];
    const report = verifyEvidence({ ...evidence, entries }, { verifiers });
    expect(report.ok).toBe(false);
    return badParts(report.checks);
  };

  test('in the entry', () => {
    for (const changed of flips(must(evidence.entries[0]).entry)) {
      expect(partsOf({ entry: changed })).toEqual(['entry']);
    }
  });

  test('in the leaf hash', () => {
    for (const leaf of flips(must(evidence.entries[0]).leaf)) {
      expect(partsOf({ leaf })).toEqual(['leaf']);
    }
  });

  test('in each hash of the proof', () => {
    const { proof } = must(evidence.entries[0]);
    proof.forEach((hash, at) => {
      for (const changed of flips(hash)) {
        expect(partsOf({ proof: proof.with(at, changed) })).toEqual(['proof']);
      }
    });
    expect(partsOf({ proof: proof.slice(1) })).toEqual(['proof']);
    expect(partsOf({ proof: [...proof, ...proof.slice(0, 1)] })).toEqual(['proof']);
  });

  test('in the index', () => {
    for (let index = 0; index < 40; index++) {
      if (index !== 17) expect(partsOf({ index })).toEqual(['proof']);
    }
  });

  test('in the checkpoint', () => {
    for (const changed of flips(Buffer.from(must(evidence.entries[0]).checkpoint))) {
      expect(partsOf({ checkpoint: Buffer.from(changed).toString('latin1') })).toContain(
        'checkpoint',
      );
    }
  });

  test('in the verifier key', () => {
    for (const changed of flips(Buffer.from(vkey))) {
      const verifierKeys = [Buffer.from(changed).toString('latin1')];
      const { ok, checks } = verifyEvidence({ ...evidence, verifierKeys }, { verifiers });
      expect([ok, badParts(checks)]).toEqual([false, ['verifier-key']]);
    }
  });

  test('anywhere in the file', () => {
    let named = 0;
    for (const changed of flips(Buffer.from(text))) {
      const flipped = Buffer.from(changed).toString('latin1');
      try {
        const { ok, checks } = verifyEvidence(parseEvidence(flipped), { verifiers });
        // What an entry is for is said by its reader, not proven here.
        if (parseEvidence(flipped).entries[0]?.role === 'subject') expect(ok).toBe(false);
        named += badParts(checks).length;
      } catch (error) {
        expect(error).toBeInstanceOf(LedgerError);
        expect(error).toMatchObject({ code: 'ERR_LEDGER_EVIDENCE_MALFORMED' });
      }
    }
    expect(named).toBeGreaterThan(1000);
  });
});

describe('an evidence file', () => {
  test.each<[string, (file: Record<string, never>) => unknown, string]>([
    ['another format', (file) => ({ ...file, format: 'x' }), 'in format'],
    ['no entries', (file) => ({ ...file, entries: [] }), 'in entries'],
    [
      'too many entries',
      (file) => ({ ...file, entries: Array(65).fill(file['entries']?.[0]) }),
      'at most 64',
    ],
    ['a member that nobody knows', (file) => ({ ...file, more: 1 }), 'another way of writing'],
    ['no object', () => [], 'no object'],
  ])('with %s is refused, naming the place', (_what, change, place) => {
    const changed = `${JSON.stringify(change(JSON.parse(text)), undefined, 2)}\n`;
    expect(() => parseEvidence(changed)).toThrow(place);
  });

  test.each([
    ['index', -1],
    ['index', '17'],
    ['entry', ''],
    ['entry', 'AAA'],
    ['leaf', 'AAAA'],
    ['proof', ['AAAA']],
    ['checkpoint', 1],
    ['timestamps', 'x'],
    ['role', null],
  ])('with %s %j is refused, naming the place', (member, value) => {
    const file = JSON.parse(text);
    file.entries[0][member] = value;
    const changed = `${JSON.stringify(file, undefined, 2)}\n`;
    expect(() => parseEvidence(changed)).toThrow(`entries[0].${member}`);
  });
});
