import type { JoinRule, Organisation, Registration } from '@countersign/model';
import { subjectFromId } from '@countersign/model';
import type { z } from 'zod';
import { checkList } from '../document/check-shape.ts';
import { listOf, quote } from '../document/describe.ts';
import { valueAt } from '../document/shape-walk.ts';
import { parseSource, type SourceDocument } from '../document/source-document.ts';
import { didYouMean } from '../document/suggest.ts';
import { identityShape } from '../shape/identity-shape.ts';
import { checkAttestations } from './check-attestations.ts';
import { type ClientVocabulary, checkClient } from './check-client.ts';
import { checkExchange } from './check-exchange.ts';
import type { JoinChecker } from './check-joins.ts';
import { readThumbprint } from './read-certificates.ts';
import { type RegisteredIdentity, registeredFile } from './registered-identities.ts';
import {
  type CheckContext,
  createNameRegister,
  type Located,
  readSource,
} from './repository-source.ts';

type WrittenIdentity = z.output<typeof identityShape>;

/** Reads `identities/*.yaml`, and what was registered beside them; each registration with where it stands. */
export async function checkIdentities(
  files: readonly string[],
  options: {
    readonly context: CheckContext;
    readonly trustDomain: string;
    readonly vocabulary: ClientVocabulary;
    readonly organisations: ReadonlyMap<string, Organisation>;
    readonly defaultTtlSeconds: number;
    readonly joins: JoinChecker;
    /** Identities that stand in no file; read after those that do. */
    readonly registered: readonly RegisteredIdentity[];
  },
): Promise<readonly Located<Registration>[]> {
  const { context, trustDomain } = options;
  const { report } = context;
  const subjects = createNameRegister('identity', report);
  const certificates = createNameRegister('certificate', report);
  const clients = createNameRegister('client id', report);
  const registrations: Located<Registration>[] = [];
  const written: Located<WrittenIdentity>[] = [];
  for await (const document of documents(files, options)) {
    for (const each of checkList(document, identityShape, report)) {
      written.push({ ...each, document });
    }
  }
  // Agents are audiences, too: of the tokens that are handed to them.
  const served = written.flatMap(({ value }) => value.client?.exchange?.serves ?? []);
  const audiences = new Set([...options.vocabulary.audiences, ...served]);
  const vocabulary = { ...options.vocabulary, audiences };
  for (const { value, document, path } of written) {
    const at = (...more: PropertyKey[]) => document.at([...path, ...more]);
    if (!subjects.take(value.id, at('id'))) continue;
    if (value.id.startsWith('workload/countersign/')) {
      report.error(at('id'), {
        found: quote(value.id),
        expected: 'a name outside workload/countersign/, which is for enforcement points',
        mend: "name the point under 'points' in countersign.yaml",
      });
    }
    if (value.client?.id !== undefined) clients.take(value.client.id, at('client', 'id'));
    const organisation = organisationOf(value, at, options);
    const thumbprints: string[] = [];
    for (const [index, named] of value.certificates.entries()) {
      const from = at('certificates', index);
      const thumbprint = await readThumbprint(named, { ...context, from });
      // One certificate that maps to two subjects would be either of them.
      if (thumbprint !== undefined && certificates.take(thumbprint, from))
        thumbprints.push(thumbprint);
    }
    const joins = await options.joins.check(value.join, {
      subject: value.id,
      at: (...more) => at('join', ...more),
      written: valueAt(document.value, [...path, 'join']),
    });
    const located = { value, document, path };
    registrations.push({
      ...located,
      value: registrationOf(value, {
        id: `spiffe://${trustDomain}/${value.id}`,
        certificates: thumbprints,
        joins,
        client: value.client && checkClient(located, { ...options, vocabulary }),
        organisation,
      }),
    });
  }
  checkAttestations(registrations, report);
  checkExchange(registrations, report);
  return registrations;
}

/** All that hold identities; one that cannot be read is told by the report. */
async function* documents(
  files: readonly string[],
  {
    context,
    registered,
  }: { readonly context: CheckContext; readonly registered: readonly RegisteredIdentity[] },
): AsyncGenerator<SourceDocument> {
  for (const file of files) {
    const document = await readSource(file, context);
    if (document) yield document;
  }
  for (const { id, json } of registered) {
    const document = parseSource(`[${json}]`, registeredFile(id), context.report);
    if (document) yield document;
  }
}

/** Whose subject it is; a partner of no organisation has no contract, no sponsor and no end. */
function organisationOf(
  { id, organisation }: WrittenIdentity,
  at: (...path: PropertyKey[]) => ReturnType<Located<WrittenIdentity>['document']['at']>,
  {
    organisations,
    context: { report },
  }: { organisations: ReadonlyMap<string, Organisation>; context: CheckContext },
): Organisation | undefined {
  if (organisation === undefined) {
    if (id.startsWith('partner/')) {
      report.warn(at('id'), {
        found: `${quote(id)} without an organisation`,
        expected: 'one of partners/: its contract, its sponsor, and when it ends',
        mend: "name it: 'organisation: …'",
      });
    }
    return undefined;
  }
  const found = organisations.get(organisation);
  if (found) return found;
  const known = new Set(organisations.keys());
  report.error(at('organisation'), {
    found: `organisation ${quote(organisation)}`,
    expected: known.size > 0 ? `one of ${listOf(known)}` : 'an organisation of partners/*.yaml',
    mend: didYouMean(organisation, known, "write it in partners/, or remove 'organisation'"),
  });
  return undefined;
}

function earlier(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

function registrationOf(
  written: WrittenIdentity,
  resolved: {
    readonly id: string;
    readonly certificates: readonly string[];
    readonly joins: readonly JoinRule[];
    readonly client: Registration['client'];
    readonly organisation: Organisation | undefined;
  },
): Registration {
  const { owner, enabled, attributes, parents, expires, isNode, attest, svidTtl, hint } = written;
  const { spiffeIds, federatesWith } = written;
  const { organisation } = resolved;
  const endsMs = earlier(expires, organisation?.untilMs);
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
    ...(organisation && { organisation }),
    ...(endsMs !== undefined && { expiresMs: endsMs }),
    ...(isNode && { isNode }),
    ...(attest.length > 0 && {
      attestations: attest.map(({ nodes, selectors }) => ({
        nodes: nodes.map((node) => `${domain}${node}`),
        selectors,
      })),
    }),
    ...(resolved.joins.length > 0 && { joins: resolved.joins }),
    ...(svidTtl !== undefined && { svidTtlSeconds: svidTtl }),
    ...(hint !== undefined && { hint }),
  };
}
