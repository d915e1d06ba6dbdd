/** A customer as the authority is told of it (`POST /v1/customers`). */
export interface OnboardedCustomer {
  /** `1842` of `spiffe://<trust domain>/customer/1842`. */
  readonly id: string;
  /** In Cedar's JSON, as `policies/schema.cedarschema` has them. */
  readonly attributes: { readonly accounts: readonly { readonly __entity: EntityId }[] };
}

interface EntityId {
  readonly type: string;
  readonly id: string;
}

/** Customers who use the bank's own application, and which accounts are theirs. */
export const ONBOARDED_CUSTOMERS: readonly OnboardedCustomer[] = [
  { id: '1842', attributes: { accounts: [account('22289')] } },
];

function account(id: string): { readonly __entity: EntityId } {
  return { __entity: { type: 'Accounts::Account', id } };
}
