import { generateKeyPairSync } from 'node:crypto';
import {
  readEnrolmentCertificate,
  SpiffeError,
  verifyEnrolmentCertificate,
} from '@countersign/spiffe';
import { describe, expect, test } from 'vitest';
import {
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

const root = craft({ name: commonName('Hosts CA'), extensions: [x.ca, x.certSign] });
const forClients = [x.notCa, x.digitalSignature, x.usages(CLIENT_AUTH)];

function host(issuer: Crafted, more: Partial<Craft> = {}): Crafted {
  return craft({ issuer, name: commonName('host-a'), extensions: forClients, ...more });
}

function outcome(chain: readonly Crafted[], anchors = [root.der]): string {
  try {
    verifyEnrolmentCertificate(
      chain.map(({ der }) => der),
      { authorities: anchors, now: Date.now },
    );
    return 'accepted';
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return error.code;
  }
}

/** Leaf first, then so many intermediates. */
function chainOf(intermediates: number): Crafted[] {
  const path: Crafted[] = [];
  for (let issuer = root; path.length < intermediates; [issuer = root] = path) {
    path.unshift(craft({ issuer, extensions: [x.ca, x.certSign] }));
  }
  return [host(path[0] ?? root), ...path];
}

describe('the enrolment certificate of a host', () => {
  test('needs clientAuth by name, where a partner may leave it open', () => {
    expect(outcome([host(root)])).toBe('accepted');
    expect(outcome([host(root, { extensions: [x.usages(SERVER_AUTH, CLIENT_AUTH)] })])).toBe(
      'accepted',
    );
    for (const extensions of [[], [x.notCa], [x.usages(SERVER_AUTH)], [x.usages('551d2500')]]) {
      expect(outcome([host(root, { extensions })])).toBe('ERR_SPIFFE_EXTENDED_KEY_USAGE');
    }
  });

  test('comes with at most four intermediates, the root beside them not counted', () => {
    expect(outcome(chainOf(4))).toBe('accepted');
    expect(outcome([...chainOf(4), root])).toBe('accepted');
    expect(outcome(chainOf(5))).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
  });

  test.each([
    ['accepted', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['accepted', () => generateKeyPairSync('ed25519')],
    ['ERR_SPIFFE_ALGORITHM', () => generateKeyPairSync('rsa', { modulusLength: 1024 })],
    ['ERR_SPIFFE_ALGORITHM', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
  ])('has a key that is strong enough: %s', (expected, keys) => {
    expect(outcome([host(root, { keys: keys() })])).toBe(expected);
  });

  test('without a chain is none', () => {
    expect(outcome([])).toBe('ERR_SPIFFE_NO_CERTIFICATE');
  });

  test('is read with all that it says, and nothing of it believed', () => {
    const names = tlv(
      0x30,
      tlv(0x82, Buffer.from('Host-A.bank.example')),
      tlv(0x86, Buffer.from('urn:host:a')),
      tlv(0x82, Buffer.from('two words')),
    );
    const { der } = craft({
      name: tlv(0x30, ...['host-a', 'host-b'].map((text) => commonName(text).subarray(2))),
      serial: hex('00af01'),
      extensions: [tlv(0x30, tlv(0x06, hex('551d11')), tlv(0x04, names))],
    });
    expect(readEnrolmentCertificate(der)).toMatchObject({
      subject: 'CN=host-b,CN=host-a',
      serialHex: 'af01',
      commonNames: ['host-a', 'host-b'],
      dnsNames: ['Host-A.bank.example'],
      uris: ['urn:host:a'],
    });
  });
});
