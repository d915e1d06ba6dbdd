import { Buffer } from 'node:buffer';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/**
 * Makes certificates that no authority of ours would: the writer here shares nothing with the room's, so that a mistake
 * of that one does not hide itself.
 */
export interface Crafted {
  readonly der: Uint8Array;
  readonly name: Buffer;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface Craft {
  readonly issuer?: Crafted;
  readonly name?: Buffer;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly extensions: readonly Buffer[];
  readonly keys?: { privateKey: KeyObject; publicKey: KeyObject };
  readonly hash?: string | null;
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm?: Buffer;
  /** DER of the AlgorithmIdentifier outside of what is signed, when it is to differ. */
  readonly outerAlgorithm?: Buffer;
  readonly version?: Buffer;
  readonly serial?: Buffer;
}

export const ECDSA_SHA256 = hex('300a06082a8648ce3d040302');

export function craft(options: Craft): Crafted {
  const keys = options.keys ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = options.name ?? commonName(`ca ${Math.random()}`);
  const issuer = options.issuer ?? { name, privateKey: keys.privateKey };
  const algorithm = options.algorithm ?? ECDSA_SHA256;
  const tbs = tlv(
    0x30,
    options.version ?? hex('a003020102'),
    tlv(0x02, options.serial ?? hex('0133')),
    algorithm,
    issuer.name,
    tlv(
      0x30,
      time(options.notBeforeMs ?? Date.now() - 60_000),
      time(options.notAfterMs ?? Date.now() + 3_600_000),
    ),
    name,
    keys.publicKey.export({ format: 'der', type: 'spki' }),
    ...(options.extensions.length > 0 ? [tlv(0xa3, tlv(0x30, ...options.extensions))] : []),
  );
  const hash = options.hash === undefined ? 'sha256' : options.hash;
  const signature = sign(hash, tbs, issuer.privateKey);
  const der = tlv(
    0x30,
    tbs,
    options.outerAlgorithm ?? algorithm,
    tlv(0x03, Buffer.from([0]), signature),
  );
  return { der, name, ...keys };
}

export const critical = (id: string, ...value: Buffer[]): Buffer =>
  tlv(0x30, tlv(0x06, hex(id)), hex('0101ff'), tlv(0x04, ...value));
export const plain = (id: string, ...value: Buffer[]): Buffer =>
  tlv(0x30, tlv(0x06, hex(id)), tlv(0x04, ...value));

/** Extensions by name; the hex is what the standard says, written out. */
export const x = {
  ca: critical('551d13', hex('30030101ff')),
  caPath: (length: number) =>
    critical('551d13', hex(`30060101ff0201${length.toString(16).padStart(2, '0')}`)),
  notCa: critical('551d13', hex('3000')),
  keyUsage: (bits: string, isCritical = true) =>
    (isCritical ? critical : plain)('551d0f', hex(bits)),
  digitalSignature: critical('551d0f', hex('03020780')),
  certSign: critical('551d0f', hex('03020204')),
  uris: (uris: readonly string[], isCritical = true) =>
    (isCritical ? critical : plain)(
      '551d11',
      tlv(0x30, ...uris.map((uri) => tlv(0x86, Buffer.from(uri)))),
    ),
  dns: (name: string) => plain('551d11', tlv(0x30, tlv(0x82, Buffer.from(name)))),
  usages: (...ids: readonly string[]) =>
    plain('551d25', tlv(0x30, ...ids.map((id) => tlv(0x06, hex(id))))),
} as const;

export const SERVER_AUTH = '2b06010505070301';
export const CLIENT_AUTH = '2b06010505070302';
export const ANY_USAGE = '551d2500';

export const EMPTY_NAME = hex('3000');

export function commonName(text: string): Buffer {
  return tlv(0x30, tlv(0x31, tlv(0x30, hex('0603550403'), tlv(0x0c, Buffer.from(text)))));
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128
      ? [body.length]
      : body.length < 256
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return tlv(0x18, Buffer.from(`${text}Z`));
}
