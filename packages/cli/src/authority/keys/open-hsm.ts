import {
  IdentityError,
  type OpenToken,
  openPkcs11Token,
  type Pkcs11Token,
} from '@countersign/identity';
import type { Pkcs11Config } from '@countersign/policy';
import { CommandError } from '../../command-line/command.ts';
import { secretReader } from './read-secret.ts';

/** An HSM that is opened when it is needed. */
export interface Hsm {
  readonly open: OpenToken;
  close(): Promise<void>;
}

/**
 * Opens the HSM of the authorities' keys, to tell at the start what is wrong with it. One that goes away later stops
 * nothing but issuing: it is opened again when something is to be signed.
 *
 * @throws {CommandError} when the module, the PIN or the token does not fit, or the token is away
 */
export async function openHsm(
  config: Pkcs11Config,
  { env }: { readonly env: Readonly<Record<string, string | undefined>> },
): Promise<Hsm> {
  const { module, tokenLabel, tokenSerial, pin, sessions, timeoutSeconds } = config;
  let opened: Promise<Pkcs11Token> | undefined;
  const open: OpenToken = () => {
    opened ??= openPkcs11Token({
      module,
      token: {
        ...(tokenLabel !== undefined && { label: tokenLabel }),
        ...(tokenSerial !== undefined && { serial: tokenSerial }),
      },
      ...(pin && { pin: secretReader(pin, { what: 'the PIN of the HSM', environment: env }) }),
      sessionsMax: sessions,
      timeoutMs: timeoutSeconds * 1000,
    });
    opened.catch((error) => {
      // A wrong PIN stays refused: another try might lock the token.
      if (error instanceof IdentityError && error.code === 'ERR_IDENTITY_HSM') return;
      opened = undefined;
    });
    return opened;
  };
  try {
    await open();
  } catch (cause) {
    // Also when it is only away: the authority's own listener needs an SVID before it can serve.
    const { message } = cause as Error;
    throw new CommandError(`cannot use the HSM of authority.ca.keys: ${message}`, { cause });
  }
  return {
    open,
    close: async () => {
      const token = await opened?.catch(() => undefined);
      await token?.close();
    },
  };
}
