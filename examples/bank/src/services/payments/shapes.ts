// The request shapes of payments.openapi.yaml, as the service holds callers to them; a test
// compares both.

/** `Initiation`: what is to be paid, from where, to whom. */
export interface Initiation {
  readonly InstructionIdentification: string;
  readonly DebtorAccount: { readonly AccountId: string };
  readonly CreditorAccount: { readonly Identification: string; readonly Name: string };
  readonly InstructedAmount: { readonly Amount: string; readonly Currency: string };
}

const initiation = {
  type: 'object',
  additionalProperties: false,
  required: ['InstructionIdentification', 'DebtorAccount', 'CreditorAccount', 'InstructedAmount'],
  properties: {
    InstructionIdentification: { type: 'string', minLength: 1, maxLength: 35 },
    DebtorAccount: {
      type: 'object',
      additionalProperties: false,
      required: ['AccountId'],
      properties: { AccountId: { type: 'string', pattern: '^[0-9]{5}$' } },
    },
    CreditorAccount: {
      type: 'object',
      additionalProperties: false,
      required: ['Identification', 'Name'],
      properties: {
        Identification: { type: 'string', pattern: '^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$' },
        Name: { type: 'string', minLength: 1, maxLength: 70 },
      },
    },
    InstructedAmount: {
      type: 'object',
      additionalProperties: false,
      required: ['Amount', 'Currency'],
      properties: {
        Amount: { type: 'string', pattern: '^[0-9]{1,9}\\.[0-9]{2}$' },
        Currency: { type: 'string', const: 'GBP' },
      },
    },
  },
} as const;

/** `ConsentRequest`. */
export const consentBody = {
  type: 'object',
  additionalProperties: false,
  required: ['Data'],
  properties: {
    Data: {
      type: 'object',
      additionalProperties: false,
      required: ['Initiation'],
      properties: { Initiation: initiation },
    },
  },
} as const;

/** `PaymentRequest`. */
export const paymentBody = {
  type: 'object',
  additionalProperties: false,
  required: ['Data'],
  properties: {
    Data: {
      type: 'object',
      additionalProperties: false,
      required: ['ConsentId', 'Initiation'],
      properties: {
        ConsentId: { type: 'string', pattern: '^[A-Za-z0-9_-]{22}$' },
        Initiation: initiation,
      },
    },
  },
} as const;

/** The header that makes a repeated request safe. */
export const idempotencyHeaders = {
  type: 'object',
  required: ['x-idempotency-key'],
  properties: { 'x-idempotency-key': { type: 'string', pattern: '^[A-Za-z0-9_-]{1,40}$' } },
} as const;
