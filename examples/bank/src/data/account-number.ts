/** The sort codes of the example bank's branches; `00` begins no real one. */
export const SORT_CODES = ['00-47-11', '00-47-12', '00-47-15', '00-47-20'] as const;

/** The identifiers that an account goes by outside the bank. */
export interface AccountNumber {
  /** `NN-NN-NN`. */
  readonly sortCode: string;
  /** Eight digits. */
  readonly number: string;
  /** Shaped as ISO 13616 says, in a country that is none. */
  readonly iban: string;
}

/** Makes the outside identifiers of an account out of its id (1 to 99,999,999). */
export function accountNumber(accountId: number): AccountNumber {
  const sortCode = SORT_CODES[accountId % SORT_CODES.length] as string;
  const number = String(30_000_000 + accountId * 37).padStart(8, '0');
  return { sortCode, number, iban: ibanOf(`CSGN${sortCode.replaceAll('-', '')}${number}`) };
}

// `XB` is in the range that ISO 3166-1 leaves to users: no country will ever be called so.
const COUNTRY = 'XB';

/** ISO 13616 / ISO 7064 mod 97-10: the check digits bring the rearranged number to 1 modulo 97. */
function ibanOf(bban: string): string {
  const check = 98 - modulo97(`${bban}${COUNTRY}00`);
  return `${COUNTRY}${String(check).padStart(2, '0')}${bban}`;
}

/** The remainder of an IBAN's characters, letters counting from A = 10, read as one number. */
export function modulo97(text: string): number {
  let remainder = 0;
  for (const character of text) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder;
}
