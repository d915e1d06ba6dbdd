import type { RegisteredCredential } from '@countersign/sdk';
import type { Database, Transaction } from '@countersign/state';
import { type CredentialResult, type Credentials, credentialFault } from '../credentials.ts';
import type { Recorder } from '../new-event.ts';
import { refusal } from '../refusal.ts';
import type { CustomerTables } from './customer-tables.ts';
import type { Customers } from './customers.ts';

type Row = CustomerTables['customer_credential'];

/** What they stand on. */
export interface PersonCredentialsOptions {
  readonly database: Database;
  readonly credentials: Credentials;
  readonly customers: Customers;
  readonly record: Recorder;
}

/** Authenticators of people and of customers: people's are facts, customers' are rows, since they are too many. */
export class PersonCredentials {
  readonly #options: PersonCredentialsOptions;

  constructor(options: PersonCredentialsOptions) {
    this.#options = options;
  }

  async get(credentialId: string): Promise<RegisteredCredential | undefined> {
    const { credentials, database } = this.#options;
    const known = credentials.get(credentialId);
    if (known) return known;
    const row = await rowOf(database, credentialId);
    return row && credentialOf(row);
  }

  /** As {@link Credentials.register}; the callers do this one at a time. */
  async register(
    credential: RegisteredCredential,
    by: string,
    more: NonNullable<Parameters<Credentials['register']>[2]>,
  ): Promise<CredentialResult> {
    const { credentials, customers, database, record } = this.#options;
    const { credentialId, publicKey, rpId, origins, subject } = credential;
    const customer = await customers.get(subject);
    if (await rowOf(database, credentialId)) {
      return refusal(
        'credential-registered',
        `found credential '${credentialId}': withdraw it first`,
      );
    }
    if (customer === undefined) return credentials.register(credential, by, more);
    const fault = credentialFault(credential);
    if (fault !== undefined) return refusal('credential-malformed', fault);
    if (!customer.enabled) return refusal('subject-disabled', `found ${subject}`);
    if (credentials.get(credentialId)) {
      return refusal(
        'credential-registered',
        `found credential '${credentialId}': withdraw it first`,
      );
    }
    // Before: trust that cannot be recorded is not given.
    await record({
      ...{ kind: 'administration', action: 'credential-registered', by, target: subject },
      detail: { credentialId, publicKey, rpId, origins: [...origins], ...more.detail },
    });
    await database.transaction(async (transaction) => {
      await transaction
        .tables<CustomerTables>()
        .insertInto('customer_credential')
        .values({
          ...{ credential_id: credentialId, subject, public_key: publicKey, rp_id: rpId },
          origins: JSON.stringify(origins),
        })
        .execute();
      await more.also?.(transaction);
    });
    return { isGranted: true };
  }

  /** As {@link Credentials.withdraw}. */
  async withdraw(
    credentialId: string,
    by: string,
    also?: (transaction: Transaction) => Promise<void>,
  ): Promise<CredentialResult> {
    const { credentials, database, record } = this.#options;
    const row = await rowOf(database, credentialId);
    if (row === undefined) return credentials.withdraw(credentialId, by, also);
    await database.transaction(async (transaction) => {
      await transaction
        .tables<CustomerTables>()
        .deleteFrom('customer_credential')
        .where('credential_id', '=', credentialId)
        .execute();
      await also?.(transaction);
    });
    await record({
      ...{ kind: 'administration', action: 'credential-withdrawn', by, target: row.subject },
      detail: { credentialId },
    });
    return { isGranted: true };
  }
}

async function rowOf(database: Database, credentialId: string): Promise<Row | undefined> {
  return database
    .tables<CustomerTables>()
    .selectFrom('customer_credential')
    .selectAll()
    .where('credential_id', '=', credentialId)
    .executeTakeFirst();
}

function credentialOf({ credential_id, subject, public_key, rp_id, origins }: Row) {
  return {
    ...{ credentialId: credential_id, subject, publicKey: public_key, rpId: rp_id },
    origins: JSON.parse(origins) as string[],
  };
}
