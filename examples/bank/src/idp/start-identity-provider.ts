import { Agent } from 'undici';
import type { ProviderPerson, StaffProvider } from './open-identity-provider.ts';

/** The staff's identity provider, as the bank that runs has it beside itself. */
export interface StartedProvider {
  /** Gives somebody an account there, once it listens. */
  addPerson(person: ProviderPerson): Promise<void>;
  close(): Promise<void>;
}

/** Opens it beside everything else: nobody waits for it who does not sign in there. */
export function startIdentityProvider(options: {
  readonly origin: string;
  readonly folder: string;
  readonly issuerUrl: string;
  /** What the issuer is known by. */
  readonly issuerCa: string;
}): StartedProvider {
  const { issuerCa, ...place } = options;
  const people: ProviderPerson[] = [];
  const dispatcher = new Agent({ connect: { ca: issuerCa, minVersion: 'TLSv1.3' } });
  const opening = import('./open-identity-provider.ts').then(
    ({ openIdentityProvider }): Promise<StaffProvider> =>
      openIdentityProvider({ ...place, dispatcher, people }),
  );
  // Told to whoever needs it.
  opening.catch(() => undefined);
  return {
    async addPerson(person) {
      await opening;
      people.push(person);
    },
    async close() {
      await opening.then(
        (provider) => provider.close(),
        () => undefined,
      );
      await dispatcher.destroy();
    },
  };
}
