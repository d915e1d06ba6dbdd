import { hash, type KeyObject, randomBytes, verify } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { CKR } from './constants.ts';
import { initialize, loadCryptoki } from './cryptoki.ts';
import { ecdsaSignatureDer } from './ecdsa-signature.ts';
import { hsmError, ReturnValueError } from './hsm-error.ts';
import { type Session, Sessions } from './sessions.ts';
import {
  destroyKey,
  type FoundKey,
  findKey,
  generateKey,
  type KeyChoice,
  keyText,
  signWith,
  type TokenKeyKind,
} from './token-keys.ts';
import type { TokenChoice, TokenSlot } from './token-slot.ts';

/** How a token of an HSM is reached. */
export interface Pkcs11TokenOptions {
  /** The module's file, absolute. */
  readonly module: string;
  /** By label, by serial number, or both; one of them at least. */
  readonly token: TokenChoice;
  /** Asked at each login, so that it need not be kept. Absent where the token has a PIN pad, or wants no login. */
  readonly pin?: () => Promise<string>;
  /** How many calls of the module may be under way; 1 to 4, 2 if not said. */
  readonly sessionsMax?: number;
  /** After which a call is given up; 100 to 60,000, 10,000 if not said. */
  readonly timeoutMs?: number;
}

/** A token whose keys sign. */
export interface Pkcs11Token {
  /** As it was last seen. */
  readonly info: Omit<TokenSlot, 'slot' | 'flags'>;
  /** @returns nothing when the token has no such key */
  key(choice: KeyChoice, kind: TokenKeyKind): Promise<Pkcs11Key | undefined>;
  /** Makes a key pair inside the token: sensitive, not extractable, for signing only. */
  makeKey(label: string, kind: TokenKeyKind): Promise<Pkcs11Key>;
  /** Destroys both halves; returns whether there was such a key. */
  destroyKey(choice: KeyChoice): Promise<boolean>;
  /** Closes the sessions. Idempotent. */
  close(): Promise<void>;
}

/** A key in a token; where it is P-256, it is a `CaSigner` of `@countersign/spiffe`. */
export interface Pkcs11Key {
  readonly kind: TokenKeyKind;
  /** `CKA_ID`, hex. */
  readonly id: string;
  readonly publicKey: KeyObject;
  /** Whether the token would give it away, wrapped or in the clear: it was made by others. */
  readonly isExtractable: boolean;
  /**
   * P-256: ECDSA with SHA-256, as DER. Ed25519: 64 bytes.
   *
   * @throws {IdentityError} `ERR_IDENTITY_HSM`, `ERR_IDENTITY_HSM_UNAVAILABLE`, `ERR_IDENTITY_BUSY`
   */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/**
 * Opens a token of a PKCS#11 v2.40 module and logs in.
 *
 * Calls run in threads of the pool, at most `sessionsMax` at once, so that neither a slow nor a hanging HSM stops the
 * process. What is lost (a session, the login, the token) is opened anew at the next signature, and the key there must be
 * the same one. A PIN that was refused is not tried again in this process.
 *
 * @throws {IdentityError} `ERR_IDENTITY_HSM` when the module, the PIN or the choice does not fit;
 *   `ERR_IDENTITY_HSM_UNAVAILABLE` when the token is away
 * @see OASIS PKCS#11 Cryptographic Token Interface Base Specification v2.40
 */
export async function openPkcs11Token(options: Pkcs11TokenOptions): Promise<Pkcs11Token> {
  const { module, token, pin, sessionsMax = 2, timeoutMs = 10_000 } = options;
  if (!isAbsolute(module)) {
    throw hsmError('load a pkcs#11 module', `'${module}'`, 'an absolute path');
  }
  if (token.label === undefined && token.serial === undefined) {
    throw hsmError(`choose a token of '${module}'`, 'neither', 'a label or a serial number');
  }
  // A hanging module keeps its thread: with four, nothing else of the pool of four would go on.
  if (!isWithin(sessionsMax, 1, 4)) {
    throw hsmError(`open '${module}'`, `${sessionsMax} sessions`, '1 to 4');
  }
  if (!isWithin(timeoutMs, 100, 60_000)) {
    throw hsmError(`open '${module}'`, `a timeout of ${timeoutMs} ms`, '100 to 60000');
  }
  const cryptoki = await loadCryptoki(module);
  await initialize(cryptoki);
  const sessions = new Sessions({ cryptoki, token, sessionsMax, timeoutMs, ...(pin && { pin }) });
  try {
    let info = await sessions.use(`open a token of '${module}'`, async () => sessions.token);
    return {
      get info() {
        info = sessions.token ?? info;
        if (info === undefined) throw new Error('broken invariant: an open token was found');
        const { label, serial, manufacturer, model } = info;
        return { label, serial, manufacturer, model };
      },
      key: (choice, kind) => openKey(sessions, choice, kind),
      makeKey: (label, kind) => makeKey(sessions, label, kind),
      destroyKey: async (choice) =>
        (await sessions.use(`destroy key ${keyText(choice)}`, (session) =>
          destroyKey(session, choice),
        )) > 0,
      close: () => sessions.close(),
    };
  } catch (error) {
    await sessions.close();
    throw error;
  }
}

async function makeKey(sessions: Sessions, label: string, kind: TokenKeyKind): Promise<Pkcs11Key> {
  const what = `make key '${label}'`;
  // Not done again after a loss: nobody knows whether the first was made.
  await sessions.use(
    what,
    async (session) => {
      if ((await findKey(session, { label }, kind)) !== undefined) {
        throw hsmError(what, 'one of that label in the token', 'none');
      }
      await generateKey(session, label, kind);
    },
    { isOnce: true },
  );
  const key = await openKey(sessions, { label }, kind);
  if (key === undefined) throw hsmError(what, 'none after it was made', 'it in the token');
  return key;
}

async function openKey(
  sessions: Sessions,
  choice: KeyChoice,
  kind: TokenKeyKind,
): Promise<Pkcs11Key | undefined> {
  const what = `use key ${keyText(choice)}`;
  const first = await sessions.use(what, async (session) => {
    const found = await findKey(session, choice, kind);
    return found && { ...found, generation: session.generation };
  });
  if (first === undefined) return undefined;
  const { id, publicKey, isExtractable } = first;
  // Handles are the token's for as long as it is open; after that the key is looked for again.
  let held: FoundKey & { generation: number } = first;
  const handleIn = async (session: Session): Promise<number> => {
    if (held.generation === session.generation) return held.handle;
    const found = await findKey(session, choice, kind);
    if (found === undefined) throw new ReturnValueError('C_FindObjects', CKR.objectHandleInvalid);
    // Another token of that label in the slot, or another key of that label in it: certificates would be worthless.
    if (!found.publicKey.equals(publicKey)) {
      throw hsmError(what, 'another key of that name in the token', 'the one that was used before');
    }
    held = { ...found, generation: session.generation };
    return found.handle;
  };
  const sign = (message: Uint8Array): Promise<Uint8Array> =>
    sessions.use(what, async (session) => {
      const data = kind === 'p256' ? hash('sha256', message, 'buffer') : message;
      const raw = await signWith(session, { handle: await handleIn(session), kind, data });
      return kind === 'p256' ? ecdsaSignatureDer(raw) : raw;
    });
  const probe = randomBytes(32);
  const digest = kind === 'p256' ? 'sha256' : null;
  // A public key that was imported beside the wrong private one is found by nothing else.
  if (!verify(digest, probe, publicKey, await sign(probe))) {
    throw hsmError(what, 'a public key in the token that is not of this private one', 'its own');
  }
  return Object.freeze({ kind, id, publicKey, isExtractable, sign });
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
