import type { HostPort } from '@countersign/policy';
import { CommandError } from '../command-line/command.ts';

/** Says which address of the configuration could not be listened on, and what to do. */
export function listenError(
  key:
    | 'authority.bundleEndpoints'
    | 'authority.control'
    | 'authority.devices.webhooks'
    | 'authority.issuer'
    | 'authority.issuers'
    | 'authority.people.scim.address'
    | 'authority.signals',
  { address, cause }: { readonly address: HostPort; readonly cause: unknown },
): CommandError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new CommandError(
    `cannot listen on ${address.host}:${address.port} (${key}): found ${code ?? message}, expected a free address; stop what listens there, or change ${key} in countersign.yaml`,
    { cause },
  );
}
