import { resolve } from 'node:path';
import { quote } from '../document/describe.ts';
import type { Place } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { IdentityProviderConfig } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

type Login = NonNullable<NonNullable<WrittenConfig['authority']>['login']>;
type Written = Login['identityProviders'][number];

/** Which files each way to authenticate takes; whatever else is written was meant for another. */
const FILES = {
  private_key_jwt: { needs: ['keyFile'], may: ['certificateFile', 'assertionAudience'] },
  tls_client_auth: { needs: ['keyFile', 'certificateFile'], may: [] },
  client_secret_basic: { needs: ['secretFile'], may: [] },
} as const;
const ALL = ['keyFile', 'certificateFile', 'secretFile', 'assertionAudience'] as const;

/**
 * Checks `authority.login.identityProviders`: each is named once and answers for an issuer of its own, its credential is whole, and
 * whom it names can be found.
 *
 * @param at where a key of `authority.login` stands
 */
export function checkIdentityProviders(
  { login, authority }: { readonly login: Login; readonly authority: WrittenConfig['authority'] },
  { report, folder, at }: CheckContext & { readonly at: (...path: PropertyKey[]) => Place },
): readonly IdentityProviderConfig[] {
  const written = login.identityProviders;
  const names = createNameRegister('identity provider', report);
  const issuers = createNameRegister('issuer', report);
  const clients = authority?.people?.scim?.clients.map(({ name }) => name) ?? [];
  for (const [index, each] of written.entries()) {
    const of = (...path: PropertyKey[]) => at('identityProviders', index, ...path);
    names.take(each.name, of('name'));
    // Accounts are pinned by issuer: two of one would take each other's.
    issuers.take(each.issuer, of('issuer'));
    checkCredential(each, { report, of });
    const { matches, claim, scimClient } = each.person;
    if (matches === 'externalId' && scimClient === undefined) {
      report.error(of('person'), {
        found: "'externalId' without 'scimClient'",
        expected: 'whose externalId it is: two clients may use the same one for two people',
        mend: "add 'scimClient'",
      });
    }
    if (each.subjects === 'customer' && matches !== 'id') {
      report.error(of('person', 'matches'), {
        found: `${quote(matches)} for customers`,
        expected: "'id': the directory has people of the bank only",
        mend: "write 'id', and have the provider say our name of the customer",
      });
    }
    const isOfDirectory = matches !== 'id' && each.subjects === 'human';
    if (scimClient !== undefined && (!isOfDirectory || !clients.includes(scimClient))) {
      report.error(of('person', 'scimClient'), {
        found: `client ${quote(scimClient)}${isOfDirectory ? '' : ` for '${matches}' of kind '${each.subjects}'`}`,
        expected: "a client of authority.people.scim, for people of kind 'human' of the directory",
        mend: didYouMean(scimClient, new Set(clients), 'name one, or remove it'),
      });
    }
    if (matches === 'email' || (matches === 'userName' && claim !== 'sub')) {
      report.warn(of('person'), {
        found: `people by ${matches === 'email' ? 'their address' : 'their user name'}`,
        expected: 'by what is given to nobody else one day, such as externalId',
        mend: 'match externalId where the provider has a claim for it; the account is pinned at the first sign-in all the same',
      });
    }
    const besides = written.filter(({ subjects }) => subjects === each.subjects).length - 1;
    if (besides > 0 && scimClient === undefined) {
      report.warn(of('person'), {
        found: `one of ${besides + 1} providers that speak for everybody`,
        expected: 'each to speak for its own people: whoever runs one could be anybody',
        mend: "add 'scimClient' where SCIM brings them",
      });
    }
    for (const [theirs, ours] of Object.entries(each.acr)) {
      if (ours !== 'phrh' || login.hardwareKeys) continue;
      report.warn(of('acr', theirs), {
        found: `${quote(theirs)} worth phrh, and no hardwareKeys of ours`,
        expected: 'a provider that proves attested hardware, as ours would',
        mend: 'write phr, unless the provider checks attestation',
      });
    }
  }
  const { straightTo } = login;
  if (straightTo !== undefined && !written.some(({ name }) => name === straightTo)) {
    report.error(at('straightTo'), {
      found: `identity provider ${quote(straightTo)}`,
      expected: "the name of one of 'identityProviders'",
      mend: didYouMean(
        straightTo,
        new Set(written.map(({ name }) => name)),
        'name one, or remove it',
      ),
    });
  }
  return written.map((each) => configOf(each, folder));
}

function checkCredential(
  written: Written,
  { report, of }: Pick<CheckContext, 'report'> & { readonly of: (...path: PropertyKey[]) => Place },
): void {
  const { authentication } = written;
  const { needs, may } = FILES[authentication];
  const [lacks] = needs.filter((key) => written[key] === undefined);
  if (lacks !== undefined) {
    report.error(of(), {
      found: `'${authentication}' without '${lacks}'`,
      expected: needs.map((key) => `'${key}'`).join(' and '),
      mend: `add '${lacks}', or another 'authentication'`,
    });
  }
  const known: readonly string[] = [...needs, ...may];
  for (const key of ALL.filter((each) => written[each] !== undefined && !known.includes(each))) {
    report.error(of(key), {
      found: `'${key}' with '${authentication}'`,
      expected: known.map((each) => `'${each}'`).join(', '),
      mend: `remove '${key}', or change 'authentication'`,
    });
  }
}

function configOf(written: Written, folder: string): IdentityProviderConfig {
  const { authentication: method, maxAge, person, requires, ...rest } = written;
  const { keyFile, certificateFile, secretFile, assertionAudience, caFile, ...more } = rest;
  const path = (file: string | undefined) => resolve(folder, file ?? '');
  const { claim, matches, scimClient } = person;
  return {
    ...more,
    authentication: (() => {
      switch (method) {
        case 'private_key_jwt':
          return {
            ...{ method, keyFile: path(keyFile) },
            ...(certificateFile !== undefined && { certificateFile: path(certificateFile) }),
            ...(assertionAudience !== undefined && { assertionAudience }),
          };
        case 'tls_client_auth':
          return { method, keyFile: path(keyFile), certificateFile: path(certificateFile) };
        case 'client_secret_basic':
          return { method, secretFile: path(secretFile) };
      }
    })(),
    ...(caFile !== undefined && { caFile: path(caFile) }),
    person: { claim, matches, ...(scimClient !== undefined && { scimClient }) },
    ...(requires && { requires }),
    maxAgeSeconds: maxAge,
  };
}
