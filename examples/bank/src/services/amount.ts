/** An amount as the APIs write it. */
export interface ApiAmount {
  readonly Amount: string;
  readonly Currency: string;
}

/** Whole pence to `12.50`; the sign is kept. */
export function apiAmount(pence: number): ApiAmount {
  const digits = String(Math.abs(pence)).padStart(3, '0');
  const sign = pence < 0 ? '-' : '';
  return { Amount: `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`, Currency: 'GBP' };
}

/** `12.50` to whole pence; the text has been validated: digits, a dot, two digits. */
export function pence(amount: string): number {
  return Number(amount.replace('.', ''));
}

/** The Open Banking word for the direction of a movement. */
export function creditOrDebit(pence: number): 'Credit' | 'Debit' {
  return pence < 0 ? 'Debit' : 'Credit';
}
