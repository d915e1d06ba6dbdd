import { isAbsolute } from 'node:path';
import { quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import { valueAt } from '../document/shape-walk.ts';
import type { IssuerConfig, Repository } from '../repository.ts';
import { checkCertificatePair } from './certificate-pair.ts';
import type { JoinChecker } from './check-joins.ts';
import { RESERVED_NAMES, type WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

const FILES = ['certificateFile', 'keyFile'] as const;

/**
 * Checks `authority.issuers`: names that nothing else of ours has, certificates by which whoever knows one of them knows
 * the others, and a database that several processes can share.
 */
export function checkIssuers(
  config: WrittenConfig,
  { report }: Pick<CheckContext, 'report'>,
): readonly IssuerConfig[] {
  const { document, authority, pointNames } = config;
  if (!document || !authority) return [];
  checkShown(config, report);
  const names = createNameRegister('issuer', report);
  return authority.issuers.map((written, index) => {
    const { name, address, certificateFile, keyFile } = written;
    const at = (key: string) => document.at(['authority', 'issuers', index, key]);
    names.take(name, at('name'));
    if (pointNames.has(name) || RESERVED_NAMES.has(name)) {
      report.error(at('name'), {
        found: `issuer '${name}' beside ${pointNames.has(name) ? 'a point' : 'what is ours'} of that name`,
        expected: 'a name of its own: identity, log and keys of the record go by it',
        mend: 'rename it',
      });
    }
    checkCertificatePair({ certificateFile, keyFile }, { report, at });
    for (const key of FILES) {
      const file = written[key];
      if (file === undefined || isAbsolute(file)) continue;
      report.error(at(key), {
        found: `${quote(file)}, a relative path`,
        expected: "an absolute path on the issuer's host: it has no copy of this repository",
        mend: `write /run/secrets/${file.split('/').at(-1)}, or wherever that host has it`,
      });
    }
    if (index === 0 && authority.storage?.postgres === undefined) {
      report.error(document.at(['authority', 'issuers']), {
        found: "'issuers' with the state in SQLite, which one process holds",
        expected: 'a PostgreSQL that the authority and its issuers share',
        mend: "name it by 'storage' ('countersign state move' takes what there is along), or remove 'issuers'",
      });
    }
    return {
      ...{ name, address },
      ...(certificateFile !== undefined &&
        keyFile !== undefined && { certificate: { certificateFile, keyFile } }),
    };
  });
}

/** All of them stand behind one name: whoever reaches another one must not find somebody else. */
function checkShown({ document, authority, points }: WrittenConfig, report: Report): void {
  if (!document || !authority) return;
  const { issuers, issuerCertificateFile } = authority;
  const shows = issuers.map(({ certificateFile }) => certificateFile !== undefined);
  const odd = shows.indexOf(issuerCertificateFile === undefined);
  if (odd >= 0) {
    const [has, lacks] =
      issuerCertificateFile === undefined
        ? ['a certificate of its own', 'an SVID at the authority']
        : ['an SVID', 'issuerCertificateFile at the authority'];
    report.error(document.at(['authority', 'issuers', odd]), {
      found: `${has} at the issuer, and ${lacks}`,
      expected: 'a certificate for the host of issuerUrl at all of them, or at none',
      mend: 'name certificateFile and keyFile here, and issuerCertificateFile and issuerKeyFile of the authority',
    });
    return;
  }
  if (issuers.length === 0 || issuerCertificateFile !== undefined) return;
  const problem = {
    found: "SVIDs at the issuers' listeners",
    expected:
      "a certificate for the host of issuerUrl: points with 'web', and workloads with the SDK, know an issuer without one by the authority's SPIFFE ID, which no other has",
    mend: 'name issuerCertificateFile and issuerKeyFile, and certificateFile and keyFile of each issuer',
  };
  const isAsked = points.some(({ value }) => value.listeners.some(({ web }) => web !== undefined));
  const place = document.at(['authority', 'issuers']);
  if (isAsked) report.error(place, problem);
  else report.warn(place, problem);
}

/** {@link JoinChecker} for `join` of every issuer; they join as points do. */
export async function checkIssuerJoins(
  { document, authority }: WrittenConfig,
  joins: JoinChecker,
): Promise<Repository['pointJoins']> {
  const found: [string, Awaited<ReturnType<JoinChecker['check']>>][] = [];
  if (!document || !authority) return new Map();
  for (const [index, { name, join }] of authority.issuers.entries()) {
    const path = ['authority', 'issuers', index, 'join'];
    const rules = await joins.check(join, {
      subject: `workload/countersign/${name}`,
      at: (...more) => document.at([...path, ...more]),
      written: valueAt(document.value, path),
    });
    if (rules.length > 0) found.push([name, rules]);
  }
  return new Map(found);
}
