import type { Registration } from '@countersign/model';
import { quote } from '../document/describe.ts';
import type { LoginConfig } from '../repository.ts';
import { checkIdentityProviders } from './check-identity-providers.ts';
import { readAuthorities } from './read-certificates.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext, Located } from './repository-source.ts';

/** An exception that is renewed now and then is looked at now and then. */
const EXCEPTION_MILLISECONDS_MAX = 366 * 86_400_000;

/**
 * Checks `authority.login`: passkeys work at the issuer's origin, hardware is proved by roots that can be read, exceptions
 * end; and no application asks for what nobody can reach.
 */
export async function checkLogin(
  config: WrittenConfig,
  identities: readonly Located<Registration>[],
  context: CheckContext,
): Promise<LoginConfig | undefined> {
  const { document, authority, trustDomain } = config;
  const { report, now } = context;
  const login = authority?.login;
  checkApplications(identities, { hasLogin: login !== undefined, config, context });
  if (!document || !authority || !login) return undefined;
  const at = (...path: PropertyKey[]) => document.at(['authority', 'login', ...path]);
  const { hostname } = new URL(authority.issuerUrl);
  const rpId = login.rpId ?? hostname;
  if (!isAtOrBelow(hostname, rpId) || /^[\d.]+$|:/.test(hostname)) {
    report.error(login.rpId === undefined ? at() : at('rpId'), {
      found: `passkeys for ${quote(rpId)} at ${quote(authority.issuerUrl)}`,
      expected:
        'the domain of authority.issuerUrl or one above it, and no address: browsers refuse others',
      mend: "remove 'rpId', or give the issuer a name below it",
    });
  }
  for (const [index, origin] of login.approvalOrigins.entries()) {
    const url = new URL(origin);
    if (url.origin === origin && isAtOrBelow(url.hostname, rpId)) continue;
    report.error(at('approvalOrigins', index), {
      found: quote(origin),
      expected: `an https origin at ${quote(rpId)} or below it, without a path`,
      mend: 'write scheme and host only; passkeys of another domain are other passkeys',
    });
  }
  if (login.administrators.length > 0 && !login.hardwareKeys) {
    report.error(at('administrators'), {
      found: 'administrators, and no hardwareKeys',
      expected: 'the models and roots of their keys: they register nothing else',
      mend: "add 'hardwareKeys' with 'roots' and 'aaguids'",
    });
  }
  if (login.recoveryApprovers.length === 1) {
    report.warn(at('recoveryApprovers'), {
      found: 'one person who approves recoveries',
      expected: 'two or more: nobody approves their own',
      mend: 'name another person',
    });
  }
  const rootsPem: string[] = [];
  for (const [index, file] of (login.hardwareKeys?.roots ?? []).entries()) {
    const from = at('hardwareKeys', 'roots', index);
    rootsPem.push(...(await readAuthorities(file, { ...context, from })));
  }
  for (const [index, { expires }] of login.exceptions.entries()) {
    const leftMs = expires - now();
    if (leftMs > EXCEPTION_MILLISECONDS_MAX) {
      report.error(at('exceptions', index, 'expires'), {
        found: 'an exception for more than a year',
        expected: 'a day within a year',
        mend: 'name an earlier day, and renew it when it is still needed',
      });
    } else if (leftMs <= 0) {
      report.warn(at('exceptions', index, 'expires'), {
        found: 'an exception that is over',
        expected: 'one that is in force',
        mend: 'remove it; the history of the repository keeps it',
      });
    }
  }
  const identityProviders = checkIdentityProviders({ login, authority }, { ...context, at });
  const spiffeId = (name: string) => `spiffe://${trustDomain}/${name}`;
  return {
    rpId,
    name: login.name,
    approvalOrigins: login.approvalOrigins,
    sessionTtlSeconds: login.sessionTtl,
    sessionIdleSeconds: login.sessionIdle,
    administrators: login.administrators.map(spiffeId),
    recoveryApprovers: login.recoveryApprovers.map(spiffeId),
    hardwareKeys: { rootsPem, aaguids: login.hardwareKeys?.aaguids ?? [] },
    exceptions: login.exceptions.map(({ person, expires, ...more }) => ({
      ...more,
      person: spiffeId(person),
      expiresMs: expires,
    })),
    identityProviders,
    ...(login.straightTo !== undefined && { straightTo: login.straightTo }),
  };
}

/** Applications for people where nobody signs in, or nobody at the level that they ask for. */
function checkApplications(
  identities: readonly Located<Registration>[],
  {
    hasLogin,
    config,
    context,
  }: {
    readonly hasLogin: boolean;
    readonly config: WrittenConfig;
    readonly context: CheckContext;
  },
): void {
  for (const { value, document, path } of identities) {
    const people = value.client?.people;
    if (!people) continue;
    if (config.authority && !hasLogin) {
      context.report.error(document.at([...path, 'client', 'people']), {
        found: 'an application for people, and nobody who signs in',
        expected: "'authority.login' in countersign.yaml",
        mend: "add 'login: { name: … }' under 'authority'",
      });
    } else if (config.authority && people.acr === 'phrh' && !config.authority.login?.hardwareKeys) {
      context.report.error(document.at([...path, 'client', 'people', 'acr']), {
        found: 'phrh, and no hardware keys',
        expected: "'authority.login.hardwareKeys', or nobody reaches it",
        mend: "add 'hardwareKeys', or ask for phr",
      });
    } else if (people.acr === 'idp' && config.authority?.login?.identityProviders.length === 0) {
      context.report.error(document.at([...path, 'client', 'people', 'acr']), {
        found: 'idp, and no identity providers',
        expected: "'authority.login.identityProviders': without them everybody comes by a passkey",
        mend: 'add one, or ask for phr',
      });
    }
  }
}

function isAtOrBelow(hostname: string, rpId: string): boolean {
  return hostname === rpId || hostname.endsWith(`.${rpId}`);
}
