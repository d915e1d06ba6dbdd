import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { type CaSigner, softwareSigner } from '@countersign/spiffe';
import { IdentityError } from '../identity-error.ts';
import type { Pkcs11Key, Pkcs11Token } from '../pkcs11/open-token.ts';
import type { AuthorityKind } from './slot.ts';

/** The key of an authority, wherever its private half is. */
export interface AuthorityKey extends CaSigner {
  /** What the database keeps of it, sealed: its PKCS#8, or where in an HSM it is. */
  readonly kept: Uint8Array;
  /** Where it is in this process. */
  readonly privateKey?: KeyObject;
}

/** Where keys of authorities are made. */
export interface AuthorityKeys {
  make(kind: AuthorityKind): Promise<AuthorityKey>;
  /** @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` for one in an HSM where none is configured */
  open(kept: Uint8Array): AuthorityKey;
  /** Forgets a key where that is more than to forget the row. */
  destroy(key: AuthorityKey): Promise<void>;
}

/** Opens the HSM, each time that it is needed; whoever gives it remembers an open one. */
export type OpenToken = () => Promise<Pkcs11Token>;

/**
 * Keys in the database, or in an HSM where there is one.
 *
 * With an HSM, keys that were made before it stay where they are until their authority is over; without it again, those in it
 * do not open.
 */
export function authorityKeys({
  trustDomain,
  openToken,
}: {
  readonly trustDomain: string;
  readonly openToken: OpenToken | undefined;
}): AuthorityKeys {
  return {
    make: async (kind) => {
      if (openToken === undefined) {
        return localKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
      }
      const token = await openToken();
      const label = `countersign ${trustDomain} ${kind} ${randomBytes(8).toString('hex')}`;
      const { id, publicKey } = await token.makeKey(label, 'p256');
      return hsmKey({ label, id, publicKey }, openToken);
    },
    open: (kept) => {
      const place = placeOf(kept);
      if (place === undefined) {
        return localKey(createPrivateKey({ key: Buffer.from(kept), format: 'der', type: 'pkcs8' }));
      }
      if (openToken === undefined) {
        throw new IdentityError(
          'ERR_IDENTITY_AUTHORITY',
          `could not open the key of an authority: found it in an HSM ('${place.label}'), expected authority.ca.keys to say which`,
        );
      }
      return hsmKey(place, openToken);
    },
    destroy: async ({ kept }) => {
      const place = placeOf(kept);
      if (place === undefined || openToken === undefined) return;
      const { label, id } = place;
      await (await openToken()).destroyKey({ label, id });
    },
  };
}

/** A key in this process. */
export function localKey(privateKey: KeyObject): AuthorityKey {
  const kept = privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    ...softwareSigner({ privateKey, publicKey: createPublicKey(privateKey) }),
    kept,
    privateKey,
  };
}

interface HsmPlace {
  readonly label: string;
  /** `CKA_ID`, hex. */
  readonly id: string;
  readonly publicKey: KeyObject;
}

/** The token is asked when something is to be signed: an authority that is not used does not need it. */
function hsmKey(place: HsmPlace, openToken: OpenToken): AuthorityKey {
  const { label, id, publicKey } = place;
  let opened: Promise<Pkcs11Key> | undefined;
  const open = async (): Promise<Pkcs11Key> => {
    const key = await (await openToken()).key({ label, id }, 'p256');
    if (!key?.publicKey.equals(publicKey)) {
      throw new IdentityError(
        'ERR_IDENTITY_HSM',
        `could not use key '${label}': found ${key ? 'another key of that name' : 'none'} in the token, expected the one that was made there`,
      );
    }
    return key;
  };
  const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  return {
    publicKey,
    kept: Buffer.from(JSON.stringify({ label, id, publicKey: spki })),
    sign: async (tbs) => {
      opened ??= open();
      try {
        return await (await opened).sign(tbs);
      } catch (error) {
        opened = undefined;
        throw error;
      }
    },
  };
}

/** A PKCS#8 begins with a SEQUENCE (0x30), a place with a brace. */
function placeOf(kept: Uint8Array): HsmPlace | undefined {
  if (kept[0] !== 0x7b) return undefined;
  const { label, id, publicKey } = JSON.parse(Buffer.from(kept).toString('utf8')) as Record<
    string,
    string
  >;
  const key = Buffer.from(publicKey ?? '', 'base64');
  return {
    label: label ?? '',
    id: id ?? '',
    publicKey: createPublicKey({ key, format: 'der', type: 'spki' }),
  };
}
