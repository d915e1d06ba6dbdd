import {
  formatTransactionAssertion,
  formatTransactionStatement,
  parseTransactionAssertion,
  parseTransactionStatement,
  type SdkError,
  type TransactionStatement,
  transactionChallenge,
  verifyAssertion,
} from '@countersign/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Behaviour, softwareAuthenticator } from './software-authenticator.ts';

const statement: TransactionStatement = {
  subject: 'spiffe://bank.example/human/alice',
  method: 'POST',
  targetUri: 'https://api.bank.example/payments',
  contentSha256: '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
  amount: '5.00 EUR',
  creditor: 'Café Müller',
  createdSeconds: 1_769_940_000,
  nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
};

const text = `countersign-transaction/v1
subject: spiffe://bank.example/human/alice
method: POST
target: https://api.bank.example/payments
content-sha-256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
amount: 5.00 EUR
creditor: Café Müller
created: 1769940000
nonce: AAAAAAAAAAAAAAAAAAAAAA
`;

describe('a transaction statement', () => {
  test('has one text, whose SHA-256 is the challenge', () => {
    expect(formatTransactionStatement(statement)).toBe(text);
    expect(parseTransactionStatement(text)).toEqual(statement);
    // As `openssl dgst -sha256` has it.
    expect(transactionChallenge(text)).toBe('RAqbxXkzqher0q9lqBvRZ35yKDpGSAycFGkrH_OYzGw');
  });

  test('leaves out what is not there', () => {
    const { contentSha256: _a, amount: _b, creditor: _c, ...bare } = statement;
    const short = formatTransactionStatement(bare);
    expect(short.split('\n')).toHaveLength(7);
    expect(parseTransactionStatement(short)).toEqual(bare);
  });

  test.each<[string, Partial<Record<keyof TransactionStatement, unknown>>]>([
    ['another line in a creditor', { creditor: 'Bob\namount: 1.00 EUR' }],
    ['a creditor that turns the direction of writing', { creditor: 'Bob\u202e' }],
    ['a creditor of 141 characters', { creditor: 'b'.repeat(141) }],
    ['an amount with a comma', { amount: '5,00 EUR' }],
    ['an amount with a zero in front', { amount: '05.00 EUR' }],
    ['a relative target', { targetUri: '/payments' }],
    ['a target with a space', { targetUri: 'https://bank.example/a b' }],
    ['a short nonce', { nonce: 'AAAA' }],
    ['a fraction of a second', { createdSeconds: 1.5 }],
    ['no subject', { subject: '' }],
  ])('with %s is refused', (_what, change) => {
    const odd = { ...statement, ...change } as TransactionStatement;
    expect(() => formatTransactionStatement(odd)).toThrow(
      expect.objectContaining<Partial<SdkError>>({ code: 'ERR_SDK_OPTIONS_INVALID' }),
    );
  });

  test.each([
    ['without its first line', text.split('\n').slice(1).join('\n')],
    ['of another version', text.replace('v1', 'v2')],
    ['with a line twice', text.replace('method: POST\n', 'method: POST\nmethod: POST\n')],
    [
      'in another order',
      text.replace('method: POST\n', '').replace('amount', 'method: POST\namount'),
    ],
    ['with another line', `${text}more: x\n`],
    ['without its last newline', text.trimEnd()],
    ['with another newline', text.replaceAll('\n', '\r\n')],
  ])('%s is none', (_what, other) => {
    if (other === text) throw new Error('nothing was changed');
    expect(parseTransactionStatement(other)).toBeUndefined();
  });

  test('that is read is written again as it was', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 40 }),
        fc.nat({ max: text.length }),
        (noise, at) => {
          const other = text.slice(0, at) + noise + text.slice(at);
          const read = parseTransactionStatement(other);
          if (read) expect(formatTransactionStatement(read)).toBe(other);
        },
      ),
    );
  });
});

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('an assertion by %s', (kind) => {
  const authenticator = softwareAuthenticator(kind);
  const { credential } = authenticator;
  const good = authenticator.approve(statement);

  test('is verified, and says who was there', () => {
    expect(verifyAssertion(good, credential)).toEqual({
      kind: 'verified',
      statement,
      algorithm: kind,
      origin: 'https://pay.bank.example',
      isUserPresent: true,
      isUserVerified: true,
      isBackupEligible: false,
      isBackedUp: false,
      signCount: 0,
    });
  });

  test('is read from its field as it was written into it', () => {
    expect(parseTransactionAssertion(formatTransactionAssertion(good))).toEqual(good);
  });

  test('records a key that is backed up, and a count, and judges neither', () => {
    const backed = authenticator.approve(statement, { flags: 0x1d, signCount: 7 });
    expect(verifyAssertion(backed, credential)).toMatchObject({
      kind: 'verified',
      isBackupEligible: true,
      isBackedUp: true,
      signCount: 7,
    });
  });

  test('may carry extensions', () => {
    const extended = authenticator.approve(statement, { flags: 0x85, more: Buffer.of(0xa0) });
    expect(verifyAssertion(extended, credential).kind).toBe('verified');
  });

  test.each<[string, Behaviour, string]>([
    ['for another domain', { rpId: 'evil.example' }, "it is not for 'bank.example'"],
    ['with nobody there', { flags: 0x04 }, 'nobody was there'],
    ['with nobody verified', { flags: 0x01 }, 'the authenticator did not verify the person'],
    ['backed up where it cannot be', { flags: 0x15 }, 'its authenticator data are none'],
    [
      'with bytes that no flag tells of',
      { more: Buffer.of(0xa0) },
      'its authenticator data are none',
    ],
    ['with a flag of extensions and none', { flags: 0x85 }, 'its authenticator data are none'],
    [
      'with a new credential',
      { flags: 0x45, more: Buffer.alloc(20) },
      'its authenticator data are none',
    ],
    ['that registers', { clientData: { type: 'webauthn.create' } }, 'it is no assertion'],
    [
      'with another challenge',
      { clientData: { challenge: transactionChallenge('x') } },
      'it is over another transaction',
    ],
    [
      'with no challenge',
      { clientData: { challenge: undefined } },
      'it is over another transaction',
    ],
    [
      'at another origin',
      { clientData: { origin: 'https://pay.bank.example.evil' } },
      'it was made at another origin than https://pay.bank.example',
    ],
    [
      'at no origin',
      { clientData: { origin: undefined } },
      'it was made at another origin than https://pay.bank.example',
    ],
    [
      'inside another page',
      { clientData: { crossOrigin: true } },
      'it was made inside another page',
    ],
  ])('%s does not count', (_what, behaviour, detail) => {
    const found = verifyAssertion(authenticator.approve(statement, behaviour), credential);
    expect(found).toEqual({ kind: 'unfit', detail });
  });

  test('over another transaction than was signed does not count', () => {
    const other = formatTransactionStatement({ ...statement, amount: '5000.00 EUR' });
    expect(verifyAssertion({ ...good, statement: other }, credential)).toEqual({
      kind: 'unfit',
      detail: 'it is over another transaction',
    });
    expect(verifyAssertion({ ...good, statement: 'x' }, credential)).toEqual({
      kind: 'unfit',
      detail: 'its statement is none',
    });
  });

  test('of another credential or person does not count', () => {
    const other = softwareAuthenticator(kind).credential;
    const detailOf = (change: Partial<typeof credential>) =>
      verifyAssertion(good, { ...credential, ...change });
    expect(detailOf(other)).toEqual({ kind: 'unfit', detail: 'it is by another credential' });
    expect(detailOf({ publicKey: other.publicKey })).toEqual({
      kind: 'unfit',
      detail: 'the signature is not of the registered key',
    });
    expect(detailOf({ subject: 'spiffe://bank.example/human/bob' })).toEqual({
      kind: 'unfit',
      detail: 'it is for another person',
    });
  });

  test('does not count when any bit of what was signed, or of the signature, is flipped', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('authenticatorData', 'clientDataJson', 'signature' as const),
        fc.nat(),
        (member, number) => {
          const bytes = Buffer.from(good[member as 'signature'], 'base64url');
          const bit = number % (bytes.length * 8);
          bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
          const flipped = { ...good, [member]: bytes.toString('base64url') };
          expect(verifyAssertion(flipped, credential).kind).toBe('unfit');
        },
      ),
    );
  });

  test('that is written in another way does not count', () => {
    const last = Buffer.from(good.signature, 'base64url').toString('base64');
    for (const signature of [
      last.padEnd(last.length + 1, '='),
      `${good.signature}=`,
      `${good.signature} `,
    ]) {
      expect(verifyAssertion({ ...good, signature }, credential)).toEqual({
        kind: 'unfit',
        detail: 'its bytes are not base64url in one form',
      });
    }
  });

  test('by a key that is registered in another form does not count', () => {
    const key = Buffer.from(credential.publicKey, 'base64url');
    for (const publicKey of [
      key.subarray(0, -1),
      Buffer.concat([key, Buffer.of(0)]),
      Buffer.alloc(0),
      Buffer.from([0xa0]),
      Buffer.concat([Buffer.of(0xb8, (key[0] as number) - 0xa0), key.subarray(1)]),
    ]) {
      expect(
        verifyAssertion(good, { ...credential, publicKey: publicKey.toString('base64url') }),
      ).toEqual({
        kind: 'unfit',
        detail: 'the registered key is none of ES256, EdDSA, RS256',
      });
    }
  });
});

describe('the field Transaction-Assertion', () => {
  const good = formatTransactionAssertion(softwareAuthenticator('ES256').approve(statement));

  test.each([
    ['a member twice', `${good}, sig=:AAAA:`],
    ['another member', `${good}, x=1`],
    ['a parameter', `${good};x`],
    ['no signature', good.replace(/, sig=.*/, '')],
    ['an empty member', good.replace(/id=:[^:]*:/, 'id=::')],
    ['another order', good.split(', ').toReversed().join(', ')],
    ['no bytes', good.replace(/id=:[^:]*:/, 'id="a"')],
    ['a statement that is no UTF-8', good.replace(/statement=:[^:]*:/, 'statement=:/w==:')],
    ['12 Ki characters and more', good.replace(/client=:[^:]*:/, `client=:${'A'.repeat(12_288)}:`)],
    ['no dictionary', '"x"'],
  ])('with %s is not read', (_what, value) => {
    expect(parseTransactionAssertion(value)).toBeUndefined();
  });
});
