import {
  type RegisteredCredential,
  type TransactionAssertion,
  type TransactionStatement,
} from '@countersign/sdk';
/** What an authenticator, or the browser before it, may do differently. */
export interface Behaviour {
  readonly rpId?: string;
  readonly flags?: number;
  readonly signCount?: number;
  readonly more?: Uint8Array;
  readonly clientData?: Readonly<Record<string, unknown>>;
}
/** An authenticator in software: it signs as WebAuthn Level 3 §6.3.3 says, and lies where it is told to. */
export interface SoftwareAuthenticator {
  readonly credential: RegisteredCredential;
  approve(statement: TransactionStatement, behaviour?: Behaviour): TransactionAssertion;
}
export declare function softwareAuthenticator(
  kind: 'ES256' | 'EdDSA' | 'RS256',
  subject?: string,
): SoftwareAuthenticator;
//# sourceMappingURL=software-authenticator.d.ts.map
