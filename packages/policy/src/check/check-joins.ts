import { resolve } from 'node:path';
import type { CertificateJoin, JoinRule, KubernetesJoin } from '@countersign/model';
import type { z } from 'zod';
import { listOf, quote } from '../document/describe.ts';
import type { Place } from '../document/report.ts';
import { valueAt } from '../document/shape-walk.ts';
import { didYouMean } from '../document/suggest.ts';
import type { ClusterConfig, Repository } from '../repository.ts';
import type { joinShape } from '../shape/join-shape.ts';
import { readAuthorities, readThumbprint } from './read-certificates.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

type WrittenJoin = z.output<typeof joinShape>;

/** Resolves `join` of identities and points: files are read, templates filled in, contradictions told. */
export interface JoinChecker {
  check(
    joins: readonly WrittenJoin[],
    of: {
      /** `workload/nodes/host-a` */
      readonly subject: string;
      /** Where an entry stands, or a part of one. */
      readonly at: (...path: PropertyKey[]) => Place;
      /** `join` as its author wrote it. */
      readonly written: unknown;
    },
  ): Promise<readonly JoinRule[]>;
}

/** One for the whole repository: what two subjects claim is told at the second. */
export function createJoinChecker(
  context: CheckContext,
  { clusters }: { readonly clusters: readonly string[] },
): JoinChecker {
  const claimed = new Map<string, string>();
  return {
    async check(joins, { subject, at, written }) {
      const rules: JoinRule[] = [];
      for (const [index, { certificate, kubernetes }] of joins.entries()) {
        const here = (...path: PropertyKey[]) => at(index, ...path);
        const rule = certificate
          ? await certificateRule(certificate, {
              ...{ subject, at: here, context },
              written: valueAt(written, [index, 'certificate']),
            })
          : kubernetes && kubernetesRule(kubernetes, { subject, at: here, context, clusters });
        if (!rule) continue;
        if (isOwn(rule, { subject, at: here, context, claimed })) rules.push(rule);
      }
      return rules;
    },
  };
}

/** Checks `authority.kubernetes` and makes paths absolute; secrets are not read: they may be elsewhere, and come later. */
export function checkClusters(
  { document, authority, trustDomain }: WrittenConfig,
  { report, folder }: CheckContext,
): readonly ClusterConfig[] {
  if (!document || !authority) return [];
  const names = createNameRegister('cluster', report);
  return authority.kubernetes.flatMap(({ name, server, caFile, tokenFile, audience }, index) => {
    if (!names.take(name, document.at(['authority', 'kubernetes', index, 'name']))) return [];
    const files = { caFile: resolve(folder, caFile), tokenFile: resolve(folder, tokenFile) };
    return [{ name, server, ...files, audience: audience ?? `spiffe://${trustDomain}` }];
  });
}

/** {@link JoinChecker} for `join` of every point. */
export async function checkPointJoins(
  { points }: WrittenConfig,
  joins: JoinChecker,
): Promise<Repository['pointJoins']> {
  const found: [string, Awaited<ReturnType<JoinChecker['check']>>][] = [];
  for (const { name, value, document, path } of points) {
    const rules = await joins.check(value.join, {
      subject: `workload/countersign/${name}`,
      at: (...more) => document.at([...path, 'join', ...more]),
      written: valueAt(document.value, [...path, 'join']),
    });
    if (rules.length > 0) found.push([name, rules]);
  }
  return new Map(found);
}

const CRITERIA = ['fingerprints', 'commonName', 'serial', 'dnsName', 'uri'];

interface Where {
  readonly subject: string;
  readonly at: (...path: PropertyKey[]) => Place;
  readonly context: CheckContext;
}

async function certificateRule(
  written: NonNullable<WrittenJoin['certificate']>,
  { subject, at, context, written: raw }: Where & { readonly written: unknown },
): Promise<CertificateJoin | undefined> {
  const { authorities, fingerprints, commonName, serial, dnsName, uri } = written;
  const authoritiesPem: string[] = [];
  for (const [index, file] of authorities.entries()) {
    const from = at('certificate', 'authorities', index);
    authoritiesPem.push(...(await readAuthorities(file, { ...context, from })));
  }
  const thumbprints: string[] = [];
  for (const [index, named] of (fingerprints ?? []).entries()) {
    const from = at('certificate', 'fingerprints', index);
    const thumbprint = await readThumbprint(named, { ...context, from });
    if (thumbprint !== undefined) thumbprints.push(thumbprint);
  }
  if (!(fingerprints || commonName || serial || dnsName || uri)) {
    // One that is there and faulty has been told of.
    if (CRITERIA.some((key) => valueAt(raw, [key]) !== undefined)) return undefined;
    context.report.error(at('certificate'), {
      found: 'no fingerprints, commonName, serial, dnsName or uri',
      expected: 'what tells its certificate from all others of that authority',
      mend: "add for example dnsName: '{name}.hosts.bank.example'",
    });
    return undefined;
  }
  // A file that could not be read has been told of; without it the rule would say something else.
  if (authoritiesPem.length === 0 || thumbprints.length < (fingerprints?.length ?? 0)) {
    return undefined;
  }
  const fill = filler(subject);
  return {
    kind: 'certificate',
    authoritiesPem,
    ...(fingerprints && { thumbprints }),
    ...(commonName !== undefined && { commonName: fill(commonName) }),
    ...(serial !== undefined && { serialHex: serial }),
    ...(dnsName !== undefined && { dnsName: fill(dnsName).toLowerCase() }),
    ...(uri !== undefined && { uri: fill(uri) }),
  };
}

function kubernetesRule(
  written: NonNullable<WrittenJoin['kubernetes']>,
  { subject, at, context, clusters }: Where & { readonly clusters: readonly string[] },
): KubernetesJoin | undefined {
  const { cluster, namespace, serviceAccount, pod, node } = written;
  if (!clusters.includes(cluster)) {
    context.report.error(at('kubernetes', 'cluster'), {
      found: `cluster ${quote(cluster)}`,
      expected: `one of authority.kubernetes in countersign.yaml: ${listOf(clusters)}`,
      mend: didYouMean(cluster, clusters, 'add it there: name, server, caFile, tokenFile'),
    });
    return undefined;
  }
  const fill = filler(subject);
  return {
    ...{ kind: 'kubernetes', cluster, namespace, serviceAccount },
    ...(pod !== undefined && { pod: fill(pod) }),
    ...(node !== undefined && { node: fill(node) }),
  };
}

/** What any certificate or pod could satisfy for two subjects gets neither of them in. */
function isOwn(
  rule: JoinRule,
  { subject, at, context, claimed }: Where & { readonly claimed: Map<string, string> },
): boolean {
  for (const claim of claimsOf(rule)) {
    const other = claimed.get(claim);
    if (other !== undefined && other !== subject) {
      context.report.error(at(), {
        found: `the same way to join as '${other}'`,
        expected: 'a way of its own: who fits two is refused',
        mend: 'say what tells the two apart, such as a name, a pod or a node',
      });
      return false;
    }
    claimed.set(claim, subject);
  }
  return true;
}

function claimsOf(rule: JoinRule): readonly string[] {
  if (rule.kind === 'kubernetes') return [JSON.stringify(rule)];
  const { thumbprints, authoritiesPem, ...names } = rule;
  // One certificate is one subject, whatever else is asked of it.
  if (thumbprints) return thumbprints.map((thumbprint) => `certificate ${thumbprint}`);
  return authoritiesPem.map((pem) => JSON.stringify([pem, names]));
}

function filler(subject: string): (template: string) => string {
  const name = subject.slice(subject.lastIndexOf('/') + 1);
  return (template) => template.replaceAll('{name}', () => name);
}
