import type { Registration } from '@countersign/model';
import { subjectFromId } from '@countersign/model';
import type { z } from 'zod';
import { checkList } from '../document/check-shape.ts';
import { quote } from '../document/describe.ts';
import { identityShape } from '../shape/identity-shape.ts';
import { checkAttestations } from './check-attestations.ts';
import { type ClientVocabulary, checkClient } from './check-client.ts';
import { readThumbprint } from './read-certificates.ts';
import {
  type CheckContext,
  createNameRegister,
  type Located,
  readSource,
} from './repository-source.ts';

type WrittenIdentity = z.output<typeof identityShape>;

/** Reads `identities/*.yaml`; each registration with where it stands. */
export async function checkIdentities(
  files: readonly string[],
  options: {
    readonly context: CheckContext;
    readonly trustDomain: string;
    readonly vocabulary: ClientVocabulary;
    readonly defaultTtlSeconds: number;
  },
): Promise<readonly Located<Registration>[]> {
  const { context, trustDomain } = options;
  const { report } = context;
  const subjects = createNameRegister('identity', report);
  const certificates = createNameRegister('certificate', report);
  const clients = createNameRegister('client id', report);
  const registrations: Located<Registration>[] = [];
  for (const file of files) {
    const document = await readSource(file, context);
    for (const { value, path } of document ? checkList(document, identityShape, report) : []) {
      if (!document) continue;
      const at = (...more: PropertyKey[]) => document.at([...path, ...more]);
      if (!subjects.take(value.id, at('id'))) continue;
      if (value.id.startsWith('workload/countersign/')) {
        report.error(at('id'), {
          found: quote(value.id),
          expected: 'a name outside workload/countersign/, which is for enforcement points',
          mend: "name the point under 'points' in countersign.yaml",
        });
      }
      if (value.client) clients.take(value.client.id, at('client', 'id'));
      const thumbprints: string[] = [];
      for (const [index, named] of value.certificates.entries()) {
        const from = at('certificates', index);
        const thumbprint = await readThumbprint(named, { ...context, from });
        // One certificate that maps to two subjects would be either of them.
        if (thumbprint !== undefined && certificates.take(thumbprint, from))
          thumbprints.push(thumbprint);
      }
      const located = { value, document, path };
      registrations.push({
        ...located,
        value: registrationOf(value, {
          id: `spiffe://${trustDomain}/${value.id}`,
          certificates: thumbprints,
          client: value.client && checkClient(located, options),
        }),
      });
    }
  }
  checkAttestations(registrations, report);
  return registrations;
}

function registrationOf(
  written: WrittenIdentity,
  resolved: {
    readonly id: string;
    readonly certificates: readonly string[];
    readonly client: Registration['client'];
  },
): Registration {
  const { owner, enabled, attributes, parents, expires, isNode, attest, svidTtl, hint } = written;
  const { spiffeIds, federatesWith } = written;
  const [domain = ''] = /^spiffe:\/\/[^/]+\//.exec(resolved.id) ?? [];
  return {
    subject: subjectFromId(resolved.id),
    owner,
    enabled,
    attributes,
    parents,
    certificates: resolved.certificates,
    ...(spiffeIds.length > 0 && { spiffeIds }),
    ...(federatesWith.length > 0 && { federatesWith: [...new Set(federatesWith)] }),
    ...(resolved.client && { client: resolved.client }),
    ...(expires !== undefined && { expiresMs: expires }),
    ...(isNode && { isNode }),
    ...(attest.length > 0 && {
      attestations: attest.map(({ nodes, selectors }) => ({
        nodes: nodes.map((node) => `${domain}${node}`),
        selectors,
      })),
    }),
    ...(svidTtl !== undefined && { svidTtlSeconds: svidTtl }),
    ...(hint !== undefined && { hint }),
  };
}
