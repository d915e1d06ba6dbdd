import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BankError } from '../bank-error.ts';
import { prepareIdp } from './prepare-idp.ts';
import { type PartnerTrust, preparePartners } from './prepare-partners.ts';

/** Where a prepared bank stands. */
export interface PreparedBank {
  /** The working copy of the repository: what the authority reads and a tour edits. */
  readonly repositoryFolder: string;
  /** What partners hold: keys and certificates, one folder each. None of it is the bank's. */
  readonly partnerFolder: string;
  /** False when both were there already. */
  readonly isNew: boolean;
}

/** Where the repository in the package stands, before it is prepared. */
export const REPOSITORY_SOURCE = join(import.meta.dirname, '..', '..', 'repository');

/**
 * Makes a working copy of the bank's repository, and what partners bring of their own: their
 * certificate authority, keys and certificates, whose public parts go into the copy under `trust/`. So does
 * the authority of the staff's identity provider, which is in `idp/` beside the copy; in `secrets/` is the
 * one key that the bank's issuer needs there.
 *
 * A copy that is there already is left as it is, edits included; certificates are made again when
 * they would end within a day.
 *
 * @param target the working copy, `DATA/repository`; partners' keys go beside it, into `partners/`
 * @throws {BankError} `ERR_BANK_REPOSITORY` when `source` is no repository
 */
export async function prepareBank(options: {
  source: string;
  target: string;
  partnerFolder?: string;
  now: () => number;
}): Promise<PreparedBank> {
  const { source, target, now } = options;
  const partnerFolder = options.partnerFolder ?? join(dirname(target), 'partners');
  if (!existsSync(join(source, 'countersign.yaml'))) {
    throw new BankError(
      'ERR_BANK_REPOSITORY',
      `could not prepare bank: found no countersign.yaml in '${source}'`,
    );
  }
  const trust = await preparePartners(partnerFolder, now);
  const idpAuthorityPem = await prepareIdp({
    folder: join(dirname(target), 'idp'),
    secretsFolder: join(dirname(target), 'secrets'),
    now,
  });
  const isNew = !existsSync(target);
  if (isNew) {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    // Whole or not at all: a half copied repository would be taken for a prepared one next time.
    const half = `${target}.${randomUUID()}`;
    try {
      await cp(source, half, { recursive: true });
      await writeClientKeys(join(half, 'identities', 'partners.yaml'), trust);
      await writeTrust(half, trust, idpAuthorityPem);
      await rename(half, target);
    } finally {
      await rm(half, { recursive: true, force: true });
    }
  } else {
    await writeTrust(target, trust, idpAuthorityPem);
  }
  return { repositoryFolder: target, partnerFolder, isNew };
}

async function writeTrust(
  repository: string,
  trust: PartnerTrust,
  idpAuthorityPem: string,
): Promise<void> {
  const folder = join(repository, 'trust');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'partner-ca.pem'), trust.authorityPem);
  await writeFile(join(folder, 'idp-ca.pem'), idpAuthorityPem);
  for (const [partner, pem] of trust.certificates) {
    await writeFile(join(folder, `${partner}.pem`), pem);
  }
}

const PLACE = /^( {4}jwks: )\[\] #.*$/m;

/** Puts the public key of the one client that signs its token requests where the file leaves room. */
async function writeClientKeys(file: string, trust: PartnerTrust): Promise<void> {
  const text = await readFile(file, 'utf8');
  if (!PLACE.test(text)) {
    throw new BankError(
      'ERR_BANK_REPOSITORY',
      `could not prepare bank: found no 'jwks: []' in '${file}'`,
    );
  }
  // JSON is YAML.
  const keys = JSON.stringify([...trust.clientKeys.values()]);
  await writeFile(
    file,
    text.replace(PLACE, (_, before: string) => before + keys),
  );
}
