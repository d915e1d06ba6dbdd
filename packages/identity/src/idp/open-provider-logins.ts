import { subjectFromId } from '@countersign/model';
import { type FactLog, migrate } from '@countersign/state';
import type { PersonSession } from '../login/person-sessions.ts';
import { type Refusal, refusal } from '../refusal.ts';
import { idpMigrations } from './idp-tables.ts';
import type { ProviderLink } from './links.ts';
import type { ProviderStanding } from './provider-client.ts';
import { ProviderLogins, type ProviderLoginsOptions } from './provider-logins.ts';

/** What an operator, and receivers of signals, ask about sign-ins at identity providers. */
export interface ProviderOperations {
  /** How each provider is, as far as is known; nothing is asked. */
  standings(): readonly ProviderStanding[];
  /** Looks whether each provider can be used: its files now, its metadata when they are due. To be called every few seconds. */
  look(): Promise<void>;
  /** Whose account at a provider is whose, the newest first, at most 10,000; of one person, or of all. */
  links(subject?: string): Promise<readonly ProviderLink[]>;
  /** Takes a person's accounts at a provider, or at all, from them, with the sessions that stand on them. */
  unlink(request: {
    readonly subject: string;
    /** Name of the provider. */
    readonly provider?: string;
    readonly reason: string;
    readonly by: string;
  }): Promise<
    | Refusal
    | {
        readonly isGranted: true;
        readonly links: readonly ProviderLink[];
        readonly sessions: number;
      }
  >;
  /** Ends all sessions that stand on a provider, which need not be configured any more. Says how many; nothing when nobody knows it. */
  endSessions(request: {
    readonly provider: string;
    readonly reason: string;
    readonly by: string;
  }): Promise<number | undefined>;
  /** The person whose account at a provider it is, if they are of that kind. */
  linked(account: {
    readonly iss: string;
    readonly sub: string;
    readonly kind: string;
  }): Promise<string | undefined>;
  /** Sessions of ours that stand on a session there. */
  sessionsOf(session: {
    readonly issuer: string;
    readonly sid: string;
  }): Promise<readonly string[]>;
}

/** Sessions, each with the providers that it stands on, if any. */
export async function withProviders(
  sessions: readonly PersonSession[],
  { links }: Pick<ProviderLogins, 'links'>,
): Promise<readonly PersonSession[]> {
  const providers = await links.providersOf();
  return sessions.map((each) => {
    const found = providers.get(each.id);
    return found ? { ...each, providers: found } : each;
  });
}

/** Opens sign-ins at identity providers: their tables, and what is known of who is who there. */
export async function openProviderLogins({
  factLog,
  ...options
}: Omit<ProviderLoginsOptions, 'trustDomain'> & {
  readonly factLog: FactLog;
}): Promise<ProviderLogins> {
  await migrate(options.database, { room: 'identity/idp', migrations: idpMigrations });
  return new ProviderLogins({ ...options, trustDomain: factLog.trustDomain });
}

/** See {@link ProviderOperations}. */
export function providerOperations(idp: ProviderLogins): ProviderOperations {
  return {
    standings: () => idp.standings(),
    look: () => idp.look(),
    links: (subject) => idp.links.list(subject),
    async unlink({ subject, provider, reason, by }) {
      const links = (await idp.links.list(subject)).filter(
        (each) => provider === undefined || each.provider === provider,
      );
      if (links.length === 0) return refusal('not-found', `found no account linked to ${subject}`);
      let sessions = 0;
      for (const each of links) sessions += await idp.unlink(each, { reason, by });
      return { isGranted: true, links, sessions };
    },
    async endSessions({ provider, ...order }) {
      // In an incident a name that is misspelt must not read like an all-clear.
      const isKnown =
        idp.providers.some(({ name }) => name === provider) || (await idp.links.knows(provider));
      return isKnown ? idp.endAll(provider, order) : undefined;
    },
    async linked({ iss, sub, kind }) {
      const subject = await idp.links.subjectOf({ issuer: iss, sub });
      return subject !== undefined && subjectFromId(subject).kind === kind ? subject : undefined;
    },
    sessionsOf: (session) => idp.links.sessionsOf(session),
  };
}
