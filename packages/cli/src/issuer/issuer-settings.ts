import type { WebClient } from '@countersign/identity';
import type { BankConfig, Repository } from '@countersign/policy';
import { z } from 'zod';
import { pointRegistrations } from '../authority/point-registrations.ts';
import { CommandError } from '../command-line/command.ts';
import { version } from '../version.ts';

/** What the bank's repository says to an issuer beside the authority, which has no copy of it. */
export interface IssuerSettings {
  /** What issuing does not need is left out, points among it. */
  readonly config: BankConfig;
  /** Which types of resources name persons. */
  readonly surfaces: readonly { readonly persons: readonly string[] }[];
  /** The web applications before which points stand. */
  readonly web: readonly { readonly name: string; readonly web: readonly WebClient[] }[];
}

/** As the authority writes it, of the repository that was applied last. */
export function issuerSettingsText(repository: Repository): string {
  const { config, surfaces } = repository;
  const { exports, signals, kubernetes, bundleEndpoints, customers, passphraseFile, ...more } =
    config.authority;
  const settings: IssuerSettings = {
    config: {
      ...{ ...config, points: [] },
      authority: { ...more, witnesses: [], witnessQuorum: 0 },
      record: { ...config.record, readers: [] },
    },
    surfaces: surfaces.map(({ persons }) => ({ persons })),
    web: pointRegistrations(repository).flatMap(({ name, web }) => (web ? [{ name, web }] : [])),
  };
  return JSON.stringify({ version, ...settings });
}

const shape = z.object({
  version: z.string(),
  config: z.looseObject({ trustDomain: z.string(), authority: z.looseObject({}) }),
  surfaces: z.array(z.object({ persons: z.array(z.string()) })),
  web: z.array(z.looseObject({ name: z.string() })),
});

/**
 * Reads what an authority of the same version wrote: only that one writes what this one reads.
 *
 * @throws {CommandError} when there is nothing yet, or it is of another version
 */
export function readIssuerSettings(text: string | undefined): IssuerSettings {
  if (text === undefined) {
    throw new CommandError(
      'found no settings of issuers in the database, expected those that the authority writes: start it with this issuer in authority.issuers',
    );
  }
  const { version: of, ...settings } = shape.parse(JSON.parse(text));
  if (of !== version) {
    throw new CommandError(
      `found an authority of version ${of}, expected ${version}: run the same version of both`,
    );
  }
  return settings as unknown as IssuerSettings;
}
