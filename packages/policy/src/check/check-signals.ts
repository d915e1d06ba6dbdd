import { resolve } from 'node:path';
import type { Registration } from '@countersign/model';
import { quote } from '../document/describe.ts';
import { didYouMean } from '../document/suggest.ts';
import type { SignalsConfig } from '../repository.ts';
import { checkCertificatePair } from './certificate-pair.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

/** What clients ask for who have streams (CAEP Interoperability Profile 1.0 §2.7.2). */
export const SIGNAL_SCOPES = ['ssf.read', 'ssf.manage'] as const;

/**
 * Checks `authority.signals`: receivers are registered clients that may ask for it, each transmitter is pushed or polled.
 *
 * @param registrations of all of `identities/`; absent when some of them could not be read
 */
export function checkSignals(
  { document, authority, trustDomain }: WrittenConfig,
  registrations: readonly Registration[] | undefined,
  { report, folder }: CheckContext,
): SignalsConfig | undefined {
  const signals = authority?.signals;
  if (!document || !signals) return undefined;
  const at = (...path: PropertyKey[]) => document.at(['authority', 'signals', ...path]);
  const { certificateFile, keyFile } = signals;
  checkCertificatePair({ certificateFile, keyFile }, { report, at });
  const clients = new Map(
    registrations?.flatMap(({ client }) => (client ? [[client.id, client] as const] : [])),
  );
  const receiverNames = createNameRegister('receiver', report);
  for (const [index, { client }] of signals.receivers.entries()) {
    receiverNames.take(client, at('receivers', index, 'client'));
    if (!registrations) continue;
    const registered = clients.get(client);
    if (registered === undefined) {
      report.error(at('receivers', index, 'client'), {
        found: `client ${quote(client)}`,
        expected: 'an OAuth client of identities/',
        mend: didYouMean(client, new Set(clients.keys()), 'register it in identities/'),
      });
    } else if (!registered.audiences.includes(signals.url)) {
      report.error(at('receivers', index, 'client'), {
        found: `client ${quote(client)} without the audience '${signals.url}'`,
        expected: 'one that may ask for tokens to signals',
        mend: `add '${signals.url}' to its audiences, and ${SIGNAL_SCOPES.join(' and ')} to its scopes`,
      });
    }
  }
  const names = createNameRegister('transmitter', report);
  for (const [index, written] of signals.transmitters.entries()) {
    names.take(written.name, at('transmitters', index, 'name'));
    const [polled, pushed] = [
      written.pollUrl !== undefined,
      written.authorizationHash !== undefined,
    ];
    if (polled && pushed) {
      report.error(at('transmitters', index, 'pollUrl'), {
        found: "'pollUrl' and 'authorizationHash'",
        expected: 'one of them: a transmitter is polled, or pushes',
        mend: 'remove one',
      });
    }
    const { kind, scimClient } = written.subjects;
    const known = authority.people?.scim?.clients.map(({ name }) => name) ?? [];
    if (scimClient !== undefined && (kind !== 'human' || !known.includes(scimClient))) {
      report.error(at('transmitters', index, 'subjects', 'scimClient'), {
        found: `client ${quote(scimClient)}${kind === 'human' ? '' : ` for kind '${kind}'`}`,
        expected: "a client of authority.people.scim, for kind 'human'",
        mend: didYouMean(scimClient, new Set(known), 'name one, or remove it'),
      });
    }
    const { client } = written;
    const shown = [written.tokenFile && "'tokenFile'", client && "'client'"].filter(
      (each) => each !== undefined,
    );
    if (shown.length !== (polled ? 1 : 0)) {
      const what = shown.join(' and ');
      report.error(at('transmitters', index), {
        found: polled
          ? `'pollUrl' with${what === '' ? "out 'tokenFile' or 'client'" : ` ${what}`}`
          : `${what} without 'pollUrl'`,
        expected: polled ? 'one of them' : 'them where it is polled',
        mend: shown.length > 0 ? 'remove one' : "add 'client' or 'tokenFile'",
      });
    }
    if (client && (client.keyFile === undefined) === (client.secretFile === undefined)) {
      report.error(at('transmitters', index, 'client'), {
        found: client.keyFile === undefined ? "no 'keyFile'" : "'keyFile' and 'secretFile'",
        expected: "'keyFile', or 'secretFile'",
        mend: client.keyFile === undefined ? "add 'keyFile'" : "remove 'secretFile'",
      });
    }
  }
  const path = (file: string | undefined) =>
    file === undefined ? undefined : resolve(folder, file);
  return {
    address: signals.address,
    url: signals.url,
    ...defined({ certificateFile: path(signals.certificateFile), keyFile: path(signals.keyFile) }),
    receivers: signals.receivers.map(({ client, audience = client, pushTo, caFile }) => ({
      ...{ client, audience, pushTo },
      ...defined({ caFile: path(caFile) }),
    })),
    transmitters: signals.transmitters.map((written) => {
      const { subjects, audience = signals.url, client, ...rest } = written;
      return {
        ...rest,
        audience,
        subjects: { trustDomain, issuer: written.issuer, ...subjects },
        ...defined({ caFile: path(written.caFile), tokenFile: path(written.tokenFile) }),
        ...(client && {
          client: {
            ...client,
            ...defined({ keyFile: path(client.keyFile), secretFile: path(client.secretFile) }),
          },
        }),
      };
    }) as SignalsConfig['transmitters'],
  };
}

/** Without what is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
