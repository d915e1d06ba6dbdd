// The request shapes of accounts.openapi.yaml, as the service holds callers to them; a test
// compares both.

const accountId = { type: 'string', pattern: '^[0-9]{5}$' };

/** `ConsentRequest`. */
export const consentBody = {
  type: 'object',
  additionalProperties: false,
  required: ['Data'],
  properties: {
    Data: {
      type: 'object',
      additionalProperties: false,
      required: ['Permissions', 'AccountIds'],
      properties: {
        Permissions: {
          type: 'array',
          minItems: 1,
          maxItems: 10,
          uniqueItems: true,
          items: {
            type: 'string',
            enum: [
              'ReadAccountsBasic',
              'ReadAccountsDetail',
              'ReadBalances',
              'ReadTransactionsBasic',
              'ReadTransactionsDetail',
              'ReadStandingOrders',
            ],
          },
        },
        AccountIds: {
          type: 'array',
          minItems: 1,
          maxItems: 100,
          uniqueItems: true,
          items: accountId,
        },
        ExpirationDateTime: { type: 'string', format: 'date-time' },
      },
    },
  },
} as const;

/** `DebitRequest`. */
export const debitBody = {
  type: 'object',
  additionalProperties: false,
  required: ['Data'],
  properties: {
    Data: {
      type: 'object',
      additionalProperties: false,
      required: ['Reference', 'Amount', 'Text'],
      properties: {
        Reference: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,40}$' },
        Amount: {
          type: 'object',
          additionalProperties: false,
          required: ['Amount', 'Currency'],
          properties: {
            Amount: { type: 'string', pattern: '^[0-9]{1,9}\\.[0-9]{2}$' },
            Currency: { type: 'string', const: 'GBP' },
          },
        },
        Text: { type: 'string', minLength: 1, maxLength: 140 },
      },
    },
  },
} as const;

/** The query of `GetAccountTransactions`; numbers come as text and are bounded by their digits. */
export const transactionsQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    fromBookingDateTime: { type: 'string', format: 'date-time' },
    toBookingDateTime: { type: 'string', format: 'date-time' },
    page: { type: 'string', pattern: '^([1-9][0-9]{0,3}|10000)$' },
    pageSize: { type: 'string', pattern: '^([1-9][0-9]?|[1-4][0-9]{2}|500)$' },
  },
} as const;
