/** What somebody outside knows of the bank: where it is, and what it holds of its own. */
export interface BankEnvironment {
  /** `https://localhost:8443`: the edge listener of payments and accounts. */
  readonly edgeOrigin: string;
  /** The listener of the statement archive. */
  readonly statementsOrigin: string;
  /** The issuer identifier and base URL of the OAuth endpoints, `https://localhost:7402`. */
  readonly issuerUrl: string;
  /** PEM of the authority whose certificates the issuer and the edge present. */
  readonly issuerCa: string;
  /** The partners' own folders, as `prepareBank` made them. */
  readonly partnerFolder: string;
  readonly now: () => number;
}

/** Resource indicators (RFC 8707) of the surfaces that partners reach. */
export const AUDIENCES = {
  accounts: 'https://api.bank.example/accounts',
  payments: 'https://api.bank.example/payments',
  statements: 'https://api.bank.example/statements',
} as const;
