import { Buffer } from 'node:buffer';
import { SpiffeError, verifyClientCertificate } from '@countersign/spiffe';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ANY_USAGE,
  CLIENT_AUTH,
  type Craft,
  type Crafted,
  commonName,
  craft,
  hex,
  SERVER_AUTH,
  tlv,
  x,
} from './craft-certificate.ts';
import { API } from './support.ts';

const root = craft({ name: commonName('Fintech One CA'), extensions: [x.ca, x.certSign] });

function leafOf(issuer: Crafted, more: Partial<Craft> = {}): Crafted {
  return craft({ issuer, name: commonName('client'), extensions: [x.notCa], ...more });
}

function outcome(chain: readonly Crafted[], now = Date.now, anchors = [root.der]): string {
  try {
    verifyClientCertificate(
      chain.map(({ der }) => der),
      { authorities: anchors, now },
    );
    return 'accepted';
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return error.code;
  }
}

describe("a partner's certificate", () => {
  const leaves: [string, string, Partial<Craft>][] = [
    ['without any restriction', 'accepted', {}],
    ['without any extension', 'accepted', { extensions: [] }],
    [
      'for clients',
      'accepted',
      { extensions: [x.notCa, x.digitalSignature, x.usages(CLIENT_AUTH)] },
    ],
    ['for both ends', 'accepted', { extensions: [x.usages(SERVER_AUTH, CLIENT_AUTH)] }],
    [
      'that also claims our SPIFFE ID, which then means nothing',
      'accepted',
      { extensions: [x.uris([API.uri])] },
    ],
    ['for servers', 'ERR_SPIFFE_EXTENDED_KEY_USAGE', { extensions: [x.usages(SERVER_AUTH)] }],
    ['for any use', 'ERR_SPIFFE_EXTENDED_KEY_USAGE', { extensions: [x.usages(ANY_USAGE)] }],
    [
      'whose key may not sign a handshake',
      'ERR_SPIFFE_KEY_USAGE',
      { extensions: [x.keyUsage('03020520')] },
    ],
    ['of an authority', 'ERR_SPIFFE_LEAF_IS_AUTHORITY', { extensions: [x.ca] }],
    ['that has expired', 'ERR_SPIFFE_EXPIRED', { notAfterMs: Date.now() - 1000 }],
    ['that is not yet valid', 'ERR_SPIFFE_NOT_YET_VALID', { notBeforeMs: Date.now() + 60_000 }],
  ];
  test.each(leaves)('%s: %s', (_, expected, more) => {
    expect(outcome([leafOf(root, more)])).toBe(expected);
  });

  test('is trusted through intermediates for clients, and through no others', () => {
    const through = (usage: string) => {
      const issuer = craft({ issuer: root, extensions: [x.ca, x.certSign, x.usages(usage)] });
      return outcome([leafOf(issuer), issuer]);
    };
    expect(through(CLIENT_AUTH)).toBe('accepted');
    expect(through(ANY_USAGE)).toBe('accepted');
    expect(through(SERVER_AUTH)).toBe('ERR_SPIFFE_AUTHORITY_INVALID');
  });

  test('of another authority is untrusted, and so is everybody where none is trusted', () => {
    expect(outcome([leafOf(craft({ extensions: [x.ca, x.certSign] }))])).toBe(
      'ERR_SPIFFE_UNTRUSTED',
    );
    expect(outcome([leafOf(root)], Date.now, [])).toBe('ERR_SPIFFE_UNTRUSTED');
    expect(outcome([])).toBe('ERR_SPIFFE_NO_CERTIFICATE');
  });

  test('that is in the list of authorities itself is not thereby trusted', () => {
    const self = craft({ name: commonName('self'), extensions: [x.notCa] });
    expect(outcome([self], Date.now, [self.der])).toBe('ERR_SPIFFE_AUTHORITY_INVALID');
  });
});

describe('a name', () => {
  const attribute = (id: string, tag: number, value: Uint8Array) =>
    tlv(0x31, tlv(0x30, tlv(0x06, hex(id)), tlv(tag, value)));
  const subjectOf = (...components: Buffer[]) => {
    const leaf = leafOf(root, { name: tlv(0x30, ...components) });
    return verifyClientCertificate([leaf.der], { authorities: [root.der], now: Date.now }).subject;
  };

  test.each<[string, number, Uint8Array, string]>([
    ['550403', 0x0c, Buffer.from('Zürich'), 'CN=Zürich'],
    ['55040a', 0x13, Buffer.from('Fintech, Inc.'), 'O=Fintech\\, Inc.'],
    ['550406', 0x13, Buffer.from('CH'), 'C=CH'],
    ['550461', 0x0c, Buffer.from('PSDCH-FINMA-1'), 'organizationIdentifier=PSDCH-FINMA-1'],
    ['0992268993f22c640119', 0x16, Buffer.from('example'), 'DC=example'],
    ['2a0304', 0x0c, Buffer.from('x'), '1.2.3.4=x'],
    ['550403', 0x14, Buffer.from([0xe4]), 'CN=ä'],
    ['550403', 0x1e, Buffer.from('0041', 'hex'), 'CN=A'],
    ['550403', 0x1e, Buffer.from('00', 'hex'), 'CN=#1e0100'],
    ['550403', 0x0c, Buffer.from([0xff]), 'CN=#0c01ff'],
    ['550403', 0x13, Buffer.from([0xff]), 'CN=#1301ff'],
    ['550403', 0x02, Buffer.from([1]), 'CN=#020101'],
    ['550403', 0x0c, Buffer.from(' a,b=c+d "q" \\ '), 'CN=\\ a\\,b\\=c\\+d \\"q\\" \\\\\\ '],
    ['550403', 0x0c, Buffer.from('#1'), 'CN=\\#1'],
    ['550403', 0x0c, Buffer.from('a\nb\0\u202e\u2028'), 'CN=a\\0ab\\00\\e2\\80\\ae\\e2\\80\\a8'],
    ['550403', 0x0c, Buffer.from(''), 'CN='],
  ])('%s of tag %i is written so that nobody is misled', (id, tag, value, expected) => {
    expect(subjectOf(attribute(id, tag, value))).toBe(expected);
  });

  test('of several components begins with the last, and joins those of one component', () => {
    const pair = tlv(
      0x31,
      tlv(0x30, hex('0603550403'), tlv(0x0c, Buffer.from('a'))),
      tlv(0x30, hex('0603550405'), tlv(0x0c, Buffer.from('1'))),
    );
    const organization = attribute('55040a', 0x0c, Buffer.from('Fintech One'));
    expect(subjectOf(organization, pair)).toBe('CN=a+serialNumber=1,O=Fintech One');
    expect(subjectOf()).toBe('');
  });

  test('never breaks the line, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const written = subjectOf(attribute('550403', 0x0c, Buffer.from(text)));
        expect(written).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 50 },
    );
  });
});
