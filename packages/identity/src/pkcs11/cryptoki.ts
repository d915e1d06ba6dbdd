import { IdentityError } from '../identity-error.ts';
import { CKF, CKR } from './constants.ts';
import { hsmUnavailable } from './hsm-error.ts';
import { returnValueText } from './return-values.ts';

/** A PKCS#11 module that was loaded. Numbers are `CK_ULONG`, bytes are passed by pointer. */
export interface Cryptoki {
  /** The file. */
  readonly path: string;
  /**
   * Calls a function of the module in a thread of the pool, so that a slow HSM does not stop the event loop.
   *
   * @returns its `CK_RV`
   */
  call(name: CryptokiFunction, ...values: readonly CryptokiValue[]): Promise<number>;
  /** Where the bytes lie, for a pointer inside a structure; whoever takes it keeps the bytes alive. */
  addressOf(bytes: Uint8Array): bigint;
}

export type CryptokiValue = number | bigint | Uint8Array | BigUint64Array | null;
export type CryptokiFunction = keyof typeof FUNCTIONS;

/**
 * Where each function stands in `CK_FUNCTION_LIST` of v2.40, counted from `C_Initialize`, and its parameters: `u` for a
 * `CK_ULONG`, `b` for a `CK_BYTE`, `p` for a pointer.
 */
const FUNCTIONS = {
  C_Initialize: [0, 'p'],
  C_Finalize: [1, 'p'],
  C_GetSlotList: [4, 'bpp'],
  C_GetTokenInfo: [6, 'up'],
  C_OpenSession: [12, 'uuppp'],
  C_CloseSession: [13, 'u'],
  C_Login: [18, 'uupu'],
  C_DestroyObject: [22, 'uu'],
  C_GetAttributeValue: [24, 'uupu'],
  C_FindObjectsInit: [26, 'upu'],
  C_FindObjects: [27, 'upup'],
  C_FindObjectsFinal: [28, 'u'],
  C_SignInit: [42, 'upu'],
  C_Sign: [43, 'upupp'],
  C_GenerateKeyPair: [59, 'uppupupp'],
} as const satisfies Readonly<Record<string, readonly [index: number, parameters: string]>>;

const FUNCTION_COUNT = 68;
const STACK_BYTES = 2 * 1024 * 1024;
const C_TYPES = { u: 'unsigned long', b: 'uint8_t', p: 'void *' } as const;

/** A module is loaded once a process, whoever uses it. */
const loaded = new Map<string, Promise<Cryptoki>>();

/** Never let go: koffi unloads a library that is garbage, whoever still has pointers into it. */
const libraries: unknown[] = [];

/**
 * Loads a PKCS#11 module, through `koffi`, which is an optional dependency; it is not started yet.
 *
 * @param path an absolute path; the dynamic loader searches nowhere
 * @throws {IdentityError} `ERR_IDENTITY_HSM`
 * @see PKCS#11 v2.40 base §5.2 C_GetFunctionList, §5.4 C_Initialize
 */
export function loadCryptoki(path: string): Promise<Cryptoki> {
  let module = loaded.get(path);
  if (module === undefined) {
    module = load(path);
    loaded.set(path, module);
    module.catch(() => loaded.delete(path));
  }
  return module;
}

async function load(path: string): Promise<Cryptoki> {
  // CK_ULONG is of 4 bytes and structures are packed on Windows; nothing of that is written here.
  if (process.platform === 'win32') throw unusable(path, 'windows', 'linux or macos');
  const { default: koffi } = await import('koffi').catch((cause: Error) => {
    throw unusable(path, `no usable koffi: ${cause.message}`, 'the optional dependency', cause);
  });
  try {
    // Modules are written for the stack of a thread of C, not for the 128 KiB that koffi gives.
    koffi.config({ async_stack_size: STACK_BYTES });
  } catch {
    // Somebody has called by koffi before: then it stays as it is.
  }
  let list: unknown;
  try {
    // Node exports the functions of its own OpenSSL, and a module that was linked with another one would be bound to them: it
    // would crash, or shut down ours. With `deep` it looks among its own first.
    const library = koffi.load(path, { deep: true });
    libraries.push(library);
    const getFunctionList = library.func('unsigned long C_GetFunctionList(_Out_ void **list)');
    const out: unknown[] = [null];
    const value = Number(getFunctionList(out));
    if (value !== CKR.ok) throw unusable(path, returnValueText(value), 'its functions');
    list = out[0];
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    throw unusable(path, (cause as Error).message, 'a pkcs#11 module', cause);
  }
  const [major = 0] = koffi.decode(list, koffi.array('uint8_t', 2)) as Uint8Array;
  if (major !== 2) throw unusable(path, `pkcs#11 version ${major}`, 'version 2');
  // CK_VERSION is two bytes; the pointers behind it are aligned.
  const pointers = koffi.decode(list, 8, koffi.array('void *', FUNCTION_COUNT)) as unknown[];
  const functions = new Map<CryptokiFunction, { async: (...values: unknown[]) => void }>();
  for (const [name, [index, parameters]] of Object.entries(FUNCTIONS)) {
    const types = [...parameters].map((type) => C_TYPES[type as keyof typeof C_TYPES]);
    const prototype = koffi.proto(null, 'unsigned long', types);
    functions.set(name as CryptokiFunction, koffi.decode(pointers[index], prototype));
  }
  // The garbage collector must not free what a thread writes to.
  const held = new Set<readonly unknown[]>();
  const cryptoki: Cryptoki = {
    path,
    addressOf: (bytes) => koffi.address(bytes),
    call: (name, ...values) =>
      new Promise((resolve, reject) => {
        const native = functions.get(name);
        if (native === undefined) throw new Error(`broken invariant: ${name} is in the table`);
        held.add(values);
        native.async(...values, (error: Error | null, value: number | bigint) => {
          held.delete(values);
          if (error) reject(unusable(path, error.message, 'an answer', error));
          else resolve(Number(value));
        });
      }),
  };
  return cryptoki;
}

/**
 * Starts the module, or starts it again: some see a token that was put back only then.
 *
 * @throws {IdentityError} `ERR_IDENTITY_HSM_UNAVAILABLE`: a module whose HSM is behind a network may say so here
 */
export async function initialize(cryptoki: Cryptoki): Promise<void> {
  // CK_C_INITIALIZE_ARGS: four mutex functions (none: the system's), flags, reserved.
  const value = await cryptoki.call(
    'C_Initialize',
    BigUint64Array.of(0n, 0n, 0n, 0n, BigInt(CKF.osLockingOk), 0n),
  );
  if (value !== CKR.ok && value !== CKR.cryptokiAlreadyInitialized) {
    throw hsmUnavailable(`start pkcs#11 module '${cryptoki.path}'`, returnValueText(value));
  }
}

function unusable(path: string, found: string, expected: string, cause?: unknown): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_HSM',
    `could not use pkcs#11 module '${path}': found ${found}, expected ${expected}`,
    cause === undefined ? undefined : { cause },
  );
}
