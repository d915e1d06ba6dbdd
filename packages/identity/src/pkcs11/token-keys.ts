import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { type AttributeValue, templateOf, ulongAt } from './attributes.ts';
import { CKA, CKK, CKM, CKO, CKR } from './constants.ts';
import { hsmError, ReturnValueError } from './hsm-error.ts';
import type { Session } from './sessions.ts';

/** What keys are made and used here. */
export type TokenKeyKind = 'p256' | 'ed25519';

/** Which key of a token: by its label, its id (`CKA_ID`, hex), or both. */
export interface KeyChoice {
  readonly label?: string;
  readonly id?: string;
}

/** A private key in a token, and what is public of it. */
export interface FoundKey {
  readonly handle: number;
  readonly id: string;
  readonly publicKey: KeyObject;
  /** Whether it may leave the token, wrapped or in the clear. */
  readonly isExtractable: boolean;
}

interface KindOfKey {
  readonly keyType: number;
  readonly generate: number;
  readonly mechanism: number;
  /** `CKA_EC_PARAMS`: the curve's object identifier (RFC 5480 §2.1.1.1, RFC 8410 §3); the first is what we write. */
  readonly parameters: readonly string[];
  /** Bytes of `CKA_EC_POINT` without its wrapping. */
  readonly pointBytes: number;
}

export const KINDS: Readonly<Record<TokenKeyKind, KindOfKey>> = Object.freeze({
  p256: {
    keyType: CKK.ec,
    generate: CKM.ecKeyPairGen,
    mechanism: CKM.ecdsa,
    parameters: ['06082a8648ce3d030107'],
    pointBytes: 65,
  },
  ed25519: {
    keyType: CKK.ecEdwards,
    generate: CKM.ecEdwardsKeyPairGen,
    mechanism: CKM.eddsa,
    // PKCS#11 v3.0 curr §2.3.5 takes the name 'edwards25519', too.
    parameters: ['06032b6570', '130c656477617264733235353139'],
    pointBytes: 32,
  },
});

/** A token that answers more than this to one label is not ours to guess in. */
const FOUND_MAX = 16;
/** More than any attribute that is read here. */
const ATTRIBUTE_BYTES_MAX = 512;

/**
 * Finds the one private key of a choice, with its public half.
 *
 * @returns nothing when the token has none
 */
export async function findKey(
  session: Session,
  choice: KeyChoice,
  kind: TokenKeyKind,
): Promise<FoundKey | undefined> {
  const named = namedBy(choice);
  const handles = await find(session, [[CKA.class, CKO.privateKey], ...named]);
  if (handles.length > 1) {
    throw hsmError(
      `choose a key ${keyText(choice)}`,
      `${handles.length} private keys in the token`,
      'one; name its id',
    );
  }
  const [handle] = handles;
  if (handle === undefined) return undefined;
  const id = (await read(session, handle, CKA.id)) ?? Buffer.alloc(0);
  const what = `use key ${keyText(choice)}`;
  if ((await readUlong(session, handle, CKA.keyType)) !== KINDS[kind].keyType) {
    throw hsmError(what, 'a key of another kind', kind);
  }
  if (await readBoolean(session, handle, CKA.alwaysAuthenticate)) {
    throw hsmError(what, 'one that wants its PIN for each signature', 'one that does not');
  }
  const publicKey = await publicKeyOf(session, handle, { id, kind, named, what });
  const isExtractable = await readBoolean(session, handle, CKA.extractable);
  return { handle, id: id.toString('hex'), publicKey, isExtractable };
}

/** Has the token make a key pair; the private half never leaves it. */
export async function generateKey(
  session: Session,
  label: string,
  kind: TokenKeyKind,
): Promise<void> {
  const { cryptoki } = session;
  const { generate, parameters } = KINDS[kind];
  const id = randomBytes(16);
  const publicTemplate = templateOf(cryptoki, [
    [CKA.token, true],
    [CKA.private, false],
    [CKA.label, label],
    [CKA.id, id],
    [CKA.verify, true],
    [CKA.ecParams, Buffer.from(parameters[0] ?? '', 'hex')],
  ]);
  const privateTemplate = templateOf(cryptoki, [
    [CKA.token, true],
    [CKA.private, true],
    [CKA.label, label],
    [CKA.id, id],
    [CKA.sensitive, true],
    [CKA.extractable, false],
    [CKA.sign, true],
    // The default of these is the token's; a key that signs does nothing else.
    [CKA.decrypt, false],
    [CKA.unwrap, false],
    [CKA.derive, false],
  ]);
  const handles = [BigUint64Array.of(0n), BigUint64Array.of(0n)] as const;
  const value = await cryptoki.call(
    'C_GenerateKeyPair',
    session.handle,
    mechanismOf(generate),
    publicTemplate.structures,
    publicTemplate.count,
    privateTemplate.structures,
    privateTemplate.count,
    ...handles,
  );
  if (value !== CKR.ok) throw new ReturnValueError('C_GenerateKeyPair', value);
}

/** Destroys both halves of a key; there is no way back. */
export async function destroyKey(session: Session, choice: KeyChoice): Promise<number> {
  const named = namedBy(choice);
  let count = 0;
  for (const kind of [CKO.privateKey, CKO.publicKey]) {
    for (const handle of await find(session, [[CKA.class, kind], ...named])) {
      const value = await session.cryptoki.call('C_DestroyObject', session.handle, handle);
      if (value !== CKR.ok) throw new ReturnValueError('C_DestroyObject', value);
      count += 1;
    }
  }
  return count;
}

/** Signs bytes that are ready for the mechanism. */
export async function signWith(
  session: Session,
  { handle, kind, data }: { handle: number; kind: TokenKeyKind; data: Uint8Array },
): Promise<Uint8Array> {
  const { cryptoki } = session;
  const mechanism = mechanismOf(KINDS[kind].mechanism);
  const started = await cryptoki.call('C_SignInit', session.handle, mechanism, handle);
  if (started !== CKR.ok) throw new ReturnValueError('C_SignInit', started);
  const signature = Buffer.alloc(SIGNATURE_BYTES);
  const length = BigUint64Array.of(BigInt(SIGNATURE_BYTES));
  const value = await cryptoki.call('C_Sign', session.handle, data, data.length, signature, length);
  if (value !== CKR.ok) throw new ReturnValueError('C_Sign', value);
  if (Number(length[0]) !== SIGNATURE_BYTES) {
    throw hsmError('sign', `a signature of ${length[0]} bytes`, `${SIGNATURE_BYTES}`);
  }
  return signature;
}

/** P-256: r and s; Ed25519: R and S. 32 bytes each. */
const SIGNATURE_BYTES = 64;

export function keyText({ label, id }: KeyChoice): string {
  return [
    ...(label === undefined ? [] : [`'${label}'`]),
    ...(id === undefined ? [] : [`with id ${id}`]),
  ].join(' ');
}

/** CK_MECHANISM without parameters. */
function mechanismOf(mechanism: number): BigUint64Array {
  return BigUint64Array.of(BigInt(mechanism), 0n, 0n);
}

type Attributes = readonly (readonly [number, AttributeValue])[];

function namedBy({ label, id }: KeyChoice): Attributes {
  return [
    ...(label === undefined ? [] : [[CKA.label, label] as const]),
    ...(id === undefined ? [] : [[CKA.id, Buffer.from(id, 'hex')] as const]),
  ];
}

async function find({ cryptoki, handle }: Session, attributes: Attributes): Promise<number[]> {
  const { structures, count } = templateOf(cryptoki, attributes);
  const started = await cryptoki.call('C_FindObjectsInit', handle, structures, count);
  if (started !== CKR.ok) throw new ReturnValueError('C_FindObjectsInit', started);
  const found = new BigUint64Array(FOUND_MAX);
  const foundCount = BigUint64Array.of(0n);
  const value = await cryptoki.call('C_FindObjects', handle, found, FOUND_MAX, foundCount);
  await cryptoki.call('C_FindObjectsFinal', handle);
  if (value !== CKR.ok) throw new ReturnValueError('C_FindObjects', value);
  return [...found.subarray(0, Number(foundCount[0]))].map(Number);
}

/** @returns nothing where the object has no such attribute, or does not show it */
async function read(
  { cryptoki, handle: session }: Session,
  object: number,
  type: number,
): Promise<Buffer | undefined> {
  const { structures, values } = templateOf(cryptoki, [[type, Buffer.alloc(ATTRIBUTE_BYTES_MAX)]]);
  const value = await cryptoki.call('C_GetAttributeValue', session, object, structures, 1);
  if (value === CKR.attributeTypeInvalid || value === CKR.attributeSensitive) return undefined;
  if (value !== CKR.ok) throw new ReturnValueError('C_GetAttributeValue', value);
  const [bytes = new Uint8Array(0)] = values;
  return Buffer.from(bytes.subarray(0, Number(structures[2])));
}

async function readBoolean(session: Session, object: number, type: number): Promise<boolean> {
  return (await read(session, object, type))?.[0] === 1;
}

async function readUlong(session: Session, object: number, type: number): Promise<number> {
  const bytes = await read(session, object, type);
  return bytes?.length === 8 ? ulongAt(bytes, 0) : -1;
}

async function publicKeyOf(
  session: Session,
  privateKey: number,
  asked: {
    readonly id: Buffer;
    readonly kind: TokenKeyKind;
    readonly named: Attributes;
    readonly what: string;
  },
): Promise<KeyObject> {
  const { id, kind, named, what } = asked;
  const info = await read(session, privateKey, CKA.publicKeyInfo);
  if (info !== undefined && info.length > 0) {
    return createPublicKey({ key: info, format: 'der', type: 'spki' });
  }
  const publicName: Attributes = id.length > 0 ? [[CKA.id, id]] : named;
  const [publicKey = privateKey] = await find(session, [[CKA.class, CKO.publicKey], ...publicName]);
  const parameters = (await read(session, publicKey, CKA.ecParams))?.toString('hex') ?? 'none';
  if (!KINDS[kind].parameters.includes(parameters)) {
    throw hsmError(what, `curve ${parameters}`, kind);
  }
  const point = await read(session, publicKey, CKA.ecPoint);
  if (point === undefined) {
    throw hsmError(what, 'no public key of it in the token', 'one of the same id (CKA_ID)');
  }
  return publicKeyOfPoint(point, kind, what);
}

/** An OCTET STRING by the standard (pkcs11-curr-v2.40 §2.3.3); some tokens give what should be in it. */
function publicKeyOfPoint(point: Buffer, kind: TokenKeyKind, what: string): KeyObject {
  const { pointBytes } = KINDS[kind];
  const bytes = point.subarray(-pointBytes);
  const isWhole =
    bytes.length === pointBytes &&
    point.length <= pointBytes + 3 &&
    (kind !== 'p256' || bytes[0] === 4);
  if (!isWhole) throw hsmError(what, `a public key of ${point.length} bytes`, `${pointBytes}`);
  const part = (start: number, end: number) => bytes.toString('base64url', start, end);
  return createPublicKey({
    key:
      kind === 'p256'
        ? { kty: 'EC', crv: 'P-256', x: part(1, 33), y: part(33, 65) }
        : { kty: 'OKP', crv: 'Ed25519', x: part(0, 32) },
    format: 'jwk',
  });
}
