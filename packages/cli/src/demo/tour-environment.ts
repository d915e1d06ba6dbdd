import { join } from 'node:path';
import type { StartedProvider, TourEnvironment } from '@countersign/example-bank';
import type { Clock } from '@countersign/model';
import { CommandError } from '../command-line/command.ts';
import type { EventFinder } from './event-finder.ts';
import type { RunningBank } from './example-bank.ts';

/** What the example bank's callers and scenes need to know of the bank that runs. */
export function tourEnvironment(
  bank: RunningBank,
  {
    finder,
    idp,
    now,
  }: { readonly finder: EventFinder; readonly idp: StartedProvider; readonly now: Clock },
): TourEnvironment {
  const { ports, trust } = bank;
  const mesh = (port: number): string => `https://127.0.0.1:${port}`;
  return {
    edgeOrigin: `https://localhost:${ports.edge}`,
    statementsOrigin: `https://localhost:${ports.statements}`,
    ...issuerOf(bank),
    partnerFolder: bank.partnerFolder,
    now,
    trustDomain: trust.trustDomain,
    repositoryFolder: bank.repositoryFolder,
    idp: { ...idpOf(bank), addPerson: idp.addPerson },
    peopleFolder: join(bank.dataRoot, 'people'),
    servicesFolder: join(bank.dataRoot, 'services'),
    meshOrigins: {
      payments: mesh(ports.payments),
      accounts: mesh(ports.accounts),
      core: mesh(ports.core),
    },
    workloadEndpoint: (socket) => `unix://${join(bank.dataRoot, 'node', `${socket}.sock`)}`,
    authorityUrl: trust.controlUrl,
    x509Authorities: trust.x509Authorities,
    admin: async (method, path, body) => {
      try {
        return { status: 200, body: await bank.admin.call(method, path, body) };
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        return { status: 400, body: { detail: error.message } };
      }
    },
    findEvent: (predicate, timeoutMs) => finder.find(predicate, timeoutMs),
  };
}

/** The bank's issuer, and what it is known by. */
export function issuerOf({ ports, trust }: RunningBank) {
  return {
    issuerUrl: `https://localhost:${ports.issuer}`,
    issuerCa: trust.x509Authorities.map(pemOf).join(''),
  };
}

/** Where the staff's identity provider listens, and its folder. */
export function idpOf({ ports, dataRoot }: RunningBank) {
  return { origin: `https://localhost:${ports.idp}`, folder: join(dataRoot, 'idp') };
}

function pemOf(der: string): string {
  const lines = der.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
