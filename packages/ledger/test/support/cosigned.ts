import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type CosignerKey, cosignerKey, type LedgerError } from '@countersign/ledger';
import { fixedKey } from './sample-log.ts';

/** An ML-DSA-44 key out of a seed of 32 equal bytes: the same in every run (RFC 9881 §6, the seed form). */
export function fixedPostQuantumKey(byte: number): KeyObject {
  const der = Buffer.concat([
    Buffer.from('3034020100300b06096086480165030403110422' + '8020', 'hex'),
    Buffer.alloc(32, byte),
  ]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** The two keys of a witness. */
export function witnessKeys(name: string, byte: number): readonly [CosignerKey, CosignerKey] {
  return [
    cosignerKey({ name, privateKey: fixedKey(byte) }),
    cosignerKey({ name, privateKey: fixedPostQuantumKey(byte) }),
  ];
}

/** A key that no cosigner can have. */
export function foreignKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** The code of what an action throws. */
export async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    return (error as LedgerError).code;
  }
  return 'nothing was refused';
}
