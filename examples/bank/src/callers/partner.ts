import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BankError } from '../bank-error.ts';

/** Who partners are. */
export const PARTNERS = ['ledgerly', 'harvest', 'tempo', 'pocketwise'] as const;
/** One of {@link PARTNERS}. */
export type PartnerName = (typeof PARTNERS)[number];

/** A partner and what it proves itself with. */
export type Partner =
  | {
      readonly kind: 'certificate';
      readonly name: PartnerName;
      readonly certificatePem: string;
      readonly keyPem: string;
    }
  | {
      readonly kind: 'dpop';
      readonly name: PartnerName;
      /** Signs token requests (`private_key_jwt`). */
      readonly clientKey: KeyObject;
      /** Signs a proof with each request. */
      readonly dpopKey: KeyObject;
    };

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
