import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BankError } from '../bank-error.ts';

/** Who partners are. */
export const PARTNERS = ['ledgerly', 'harvest', 'tempo', 'pocketwise'] as const;
/** One of {@link PARTNERS}. */
export type PartnerName = (typeof PARTNERS)[number];

/** What somebody proves with each request: the key that its tokens are bound to. */
export type CallerKeys =
  | { readonly kind: 'certificate'; readonly certificatePem: string; readonly keyPem: string }
  | {
      readonly kind: 'dpop';
      /** Signs a proof with each request. */
      readonly dpopKey: KeyObject;
    };

/** A partner and what it proves itself with. */
export type Partner = { readonly name: PartnerName } & (
  | Extract<CallerKeys, { kind: 'certificate' }>
  | (Extract<CallerKeys, { kind: 'dpop' }> & {
      /** Signs token requests (`private_key_jwt`). */
      readonly clientKey: KeyObject;
    })
);

/**
 * Reads a partner's own keys.
 *
 * @throws {BankError} `ERR_BANK_PARTNER` when the bank has not been prepared
 */
export function loadPartner(partnerFolder: string, name: PartnerName): Partner {
  const read = (file: string): string => readFileSync(join(partnerFolder, name, file), 'utf8');
  try {
    return name === 'pocketwise'
      ? {
          kind: 'dpop',
          name,
          clientKey: createPrivateKey(read('client-key.pem')),
          dpopKey: createPrivateKey(read('dpop-key.pem')),
        }
      : {
          kind: 'certificate',
          name,
          certificatePem: read('certificate.pem'),
          keyPem: read('key.pem'),
        };
  } catch (cause) {
    throw new BankError(
      'ERR_BANK_PARTNER',
      `could not read keys of partner '${name}': expected them in '${partnerFolder}', where preparing the bank puts them`,
      { cause },
    );
  }
}
