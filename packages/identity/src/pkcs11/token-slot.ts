import { ulongAt } from './attributes.ts';
import { CKR } from './constants.ts';
import type { Cryptoki } from './cryptoki.ts';
import { hsmError, ReturnValueError } from './hsm-error.ts';

/** Which token of a module: by its label, its serial number, or both. */
export interface TokenChoice {
  readonly label?: string;
  readonly serial?: string;
}

/** A token in its slot. */
export interface TokenSlot {
  readonly slot: number;
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly flags: number;
}

/** More slots than an HSM has partitions. */
const SLOTS_MAX = 1024;
/** CK_TOKEN_INFO has 208 bytes with its padding. */
const TOKEN_INFO_BYTES = 256;

/** @returns nothing when the token is in no slot */
export async function findToken(
  cryptoki: Cryptoki,
  choice: TokenChoice,
): Promise<TokenSlot | undefined> {
  const found: TokenSlot[] = [];
  for (const slot of await slotsWithToken(cryptoki)) {
    const info = Buffer.alloc(TOKEN_INFO_BYTES);
    // A token that is taken out between the two calls is one that is not there.
    if ((await cryptoki.call('C_GetTokenInfo', slot, info)) !== CKR.ok) continue;
    // pkcs11-base-v2.40 §3.2: padded with blanks, not ended with zero.
    const text = (start: number, end: number) => info.toString('utf8', start, end).trimEnd();
    const token: TokenSlot = {
      slot,
      label: text(0, 32),
      manufacturer: text(32, 64),
      model: text(64, 80),
      serial: text(80, 96),
      flags: ulongAt(info, 96),
    };
    const { label = token.label, serial = token.serial } = choice;
    if (token.label === label && token.serial === serial) found.push(token);
  }
  if (found.length > 1) {
    const serials = found.map(({ serial }) => serial).join(', ');
    throw hsmError(
      `choose a token of '${cryptoki.path}'`,
      `${found.length} tokens ${choiceText(choice)} (serial numbers ${serials})`,
      'one; name its serial number',
    );
  }
  return found[0];
}

/** For messages: `with label 'ca'`. */
export function choiceText({ label, serial }: TokenChoice): string {
  return [
    ...(label === undefined ? [] : [`with label '${label}'`]),
    ...(serial === undefined ? [] : [`with serial number '${serial}'`]),
  ].join(' ');
}

async function slotsWithToken(cryptoki: Cryptoki): Promise<number[]> {
  const count = BigUint64Array.of(0n);
  // The first call also makes a module look for new tokens (pkcs11-base-v2.40 §5.5).
  const counted = await cryptoki.call('C_GetSlotList', 1, null, count);
  if (counted !== CKR.ok) throw new ReturnValueError('C_GetSlotList', counted);
  const slots = new BigUint64Array(SLOTS_MAX);
  count[0] = BigInt(SLOTS_MAX);
  const listed = await cryptoki.call('C_GetSlotList', 1, slots, count);
  if (listed !== CKR.ok) throw new ReturnValueError('C_GetSlotList', listed);
  return [...slots.subarray(0, Number(count[0]))].map(Number);
}
