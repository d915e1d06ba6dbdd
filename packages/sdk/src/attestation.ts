import { Buffer } from 'node:buffer';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { decodePem } from '@countersign/spiffe';
import { SdkError } from './sdk-error.ts';

/** What a workload has that lets it join without a join token, as often as it must; files are read at each time. */
export type Attestation =
  | {
      readonly kind: 'certificate';
      /** PEM, leaf first: the host's own, from the bank's authority. */
      readonly certificateFile: string;
      /** PEM, not encrypted: the key of that certificate. */
      readonly keyFile: string;
    }
  | {
      readonly kind: 'kubernetes';
      /** The pod's projected service account token. */
      readonly tokenFile: string;
      /** The cluster's name at the authority; needed when it knows several. */
      readonly cluster?: string;
    };

/** What is sent, and what the connection is made with. */
export interface ShownAttestation {
  readonly body:
    | { readonly kind: 'certificate' }
    | { readonly kind: 'kubernetes'; readonly token: string; readonly cluster?: string };
  readonly tls?: { readonly chain: readonly Uint8Array[]; readonly keyPem: string };
}

const FILE_BYTES_MAX = 1_000_000;

/**
 * Reads what is to be shown.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` when a file is missing or holds something else
 */
export async function readAttestation(attestation: Attestation): Promise<ShownAttestation> {
  if (attestation.kind === 'kubernetes') {
    const { tokenFile, cluster } = attestation;
    const token = (await readText(tokenFile)).trim();
    return { body: { kind: 'kubernetes', token, ...(cluster !== undefined && { cluster }) } };
  }
  const { certificateFile, keyFile } = attestation;
  const [certificate, keyPem] = await Promise.all([readText(certificateFile), readText(keyFile)]);
  let chain: readonly Uint8Array[];
  try {
    chain = decodePem(certificate);
  } catch (cause) {
    throw unusable(certificateFile, (cause as Error).message, cause);
  }
  checkKey(chain, { keyPem, certificateFile, keyFile });
  return { body: { kind: 'certificate' }, tls: { chain, keyPem } };
}

/** Said at once, and not by a handshake that fails again and again as if the authority were away. */
function checkKey(
  [leaf]: readonly Uint8Array[],
  {
    keyPem,
    certificateFile,
    keyFile,
  }: { readonly keyPem: string; readonly certificateFile: string; readonly keyFile: string },
): void {
  let isItsKey: boolean;
  try {
    const key = createPrivateKey(keyPem);
    isItsKey = leaf !== undefined && new X509Certificate(leaf).checkPrivateKey(key);
  } catch (cause) {
    throw unusable(keyFile, (cause as Error).message, cause);
  }
  if (isItsKey) return;
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not join with '${keyFile}': found another key than that of '${certificateFile}', expected its own`,
  );
}

async function readText(file: string): Promise<string> {
  try {
    const bytes = await readFile(file);
    if (bytes.length <= FILE_BYTES_MAX) return Buffer.from(bytes).toString('utf8');
    throw new Error(`${bytes.length} bytes`);
  } catch (cause) {
    throw unusable(file, (cause as Error).message, cause);
  }
}

function unusable(file: string, found: string, cause: unknown): SdkError {
  return new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not join with '${file}': found ${found}, expected a readable file of at most ${FILE_BYTES_MAX} bytes`,
    { cause },
  );
}
