import type { CollectorRefusal, ExporterStatus, PublishStatus } from '@countersign/audit';
import type { ProviderStanding } from '@countersign/identity';
import type { Problem } from '@countersign/policy';
import { type AdminClient, AdminRefusal, adminClient } from '../admin-client.ts';
import { fileFaultText } from '../authority/login-providers.ts';
import type { Applied } from '../authority/operator-routes.ts';
import type { IndexLag } from '../authority/record/index-lags.ts';
import type { CheckpointStatus } from '../authority/record/witness-checkpoints.ts';
import { type StorageStatus, storageText } from '../authority/state/storage-status.ts';
import { problemText } from '../check/problem-text.ts';
import type { Arguments, Command, Io } from '../command-line/command.ts';
import { CommandError, EXIT, UsageError } from '../command-line/command.ts';
import { nearest } from '../command-line/nearest.ts';
import { wholeNumber } from '../command-line/words.ts';
import { dataFolder } from '../data-folder.ts';
import type { FederationStatus } from '../federation/federation-routes.ts';
import { federationLines, isFederationWell } from '../federation/federation-text.ts';
import type { ListenerCertificateStatus } from '../listener-certificate/listener-certificates.ts';
import { printable } from '../record/printable.ts';
import { subjectUri, trustDomainOf } from '../subject-uri.ts';
import { type CaStatus, nextText, timeOf } from './ca.ts';
import { dataOf, print, shared } from './options.ts';

/** The authority that runs on the data folder. */
export function authorityOf(args: Arguments, io: Io): AdminClient {
  return adminClient(dataFolder(dataOf(args, io)).adminSocket);
}

/** `countersign status` */
export const statusCommand: Command = {
  name: 'status',
  summary: 'tell how a running authority, its points and its issuers are',
  description:
    'Asks the authority that runs on this data folder: policy and facts in force, where the state is and whether it is reached, points and\nissuers and whether they are connected, how much of each log is collected, how much of their checkpoints witnesses cosigned (with\n--json the cosigned note), how far each export, the index of `find` and the published logs are, which X.509, JWT and token authority\nissues and what comes next, how the bundle of each federated trust domain stands, until when the certificates of its listeners are\ngood, and when each identity provider answered last. Exit code 1 when the state, a point or an issuer is away, its log is not being\ncollected, an authority could not be replaced, one of these fails, a bundle is not fresh, a certificate ends within a week, or an\nidentity provider cannot be used.',
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const status = await authorityOf(args, io).call<AuthorityStatus>('GET', '/v1/status');
    const line = (point: PointStatus): string =>
      `  ${point.name.padEnd(12)} ${point.connected ? 'connected' : 'away     '}  log ${point.logSize} entries${heardText(point)}${refusedText(point.refused)}${(point.recordKeys ?? status.recordKeys) < status.recordKeys ? ', holds keys of the record that were destroyed or replaced' : ''}`;
    print(
      io,
      args,
      status,
      [
        `trust domain    ${status.trustDomain}`,
        `policy          sequence ${status.bundleSequence}, version ${status.policyVersion}`,
        `facts           sequence ${status.factSequence}`,
        `state           ${printable(storageText(status.storage, { timeOf }))}`,
        `own log         ${status.logSize} entries`,
        ...caLines(status.ca),
        ...checkpointLines(status.checkpoints),
        ...behindLines('index', status.index),
        ...behindLines('published', status.published.map(publishedLag)),
        'points',
        ...status.points.map(line),
        ...(status.issuers.length > 0 ? ['issuers'] : []),
        ...status.issuers.map(line),
        ...(status.exports.length > 0 ? ['exports'] : []),
        ...status.exports.map(exportLine),
        ...federationLines(status.federation),
        ...certificateLines(status.certificates),
        ...providerLines(status.identityProviders),
      ].join('\n'),
    );
    const all = [...status.points, ...status.issuers];
    const isAnyAway = all.some(({ connected }) => !connected);
    const isAnyFailing = status.exports.some(({ trouble }) => trouble !== undefined);
    const isAnyRefused = all.some(({ refused }) => refused !== undefined);
    const isAnyBehind = [...status.index, ...status.published].some(({ trouble }) => trouble);
    const isRotating = !Object.values(status.ca).some(
      ({ trouble, isOverdue }) => trouble || isOverdue,
    );
    const isAnyEnding = status.certificates.some(({ trouble }) => trouble !== undefined);
    const isAnyProviderFailing = status.identityProviders.some(({ isFailing }) => isFailing);
    const isBad =
      isAnyAway ||
      isAnyFailing ||
      isAnyRefused ||
      isAnyBehind ||
      !isRotating ||
      isAnyEnding ||
      status.storage.away !== undefined ||
      isAnyProviderFailing;
    return isBad || !isFederationWell(status.federation) ? EXIT.negative : EXIT.ok;
  },
};

function caLines(ca: CaStatus): string[] {
  return Object.entries(ca).map(([kind, status]) => {
    const { activeUntilMs, authorities, trouble, isOverdue } = status;
    const active = authorities.find(({ state }) => state === 'active')?.id.slice(0, 16) ?? 'none';
    const until = activeUntilMs === undefined ? '' : ` until ${timeOf(activeUntilMs)}`;
    const state = trouble ? 'FAILING, ' : isOverdue ? 'OVERDUE, ' : '';
    return `${`ca ${kind}`.padEnd(16)}${state}${printable(active)} issues${until}; next: ${nextText(status)}`;
  });
}

function certificateLines(certificates: AuthorityStatus['certificates']): string[] {
  if (certificates.length === 0) return [];
  return [
    'certificates of listeners',
    ...certificates.map(
      ({ listener, notAfterMs, trouble }) =>
        `  ${listener}  until ${timeOf(notAfterMs)}${trouble === undefined ? '' : `; TROUBLE: ${printable(trouble)}`}`,
    ),
  ];
}

function providerLines(providers: AuthorityStatus['identityProviders']): string[] {
  if (providers.length === 0) return [];
  return [
    'identity providers',
    ...providers.map(({ name, lastSuccessMs, lastFailure, files, isFailing }) => {
      const state = isFailing ? 'FAILING' : lastSuccessMs === undefined ? 'unknown' : 'answers';
      const success = lastSuccessMs === undefined ? 'never' : timeOf(lastSuccessMs);
      const failure = lastFailure
        ? `, last failure ${timeOf(lastFailure.atMs)}: ${printable(lastFailure.fault)}`
        : '';
      const unusable = files.map((each) => `; ${printable(fileFaultText(each))}`).join('');
      return `  ${name.padEnd(12)} ${state}, last success ${success}${failure}${unusable}`;
    }),
  ];
}

/** Of one that is away: when its log was last shown. */
function heardText({ connected, heardAtMs }: PointStatus): string {
  if (connected) return '';
  return heardAtMs === undefined ? ', not heard of' : `, last heard of ${timeOf(heardAtMs)}`;
}

function refusedText(refused: CollectorRefusal | undefined): string {
  if (refused === undefined) return '';
  const { code, detail, sinceMs } = refused;
  return `, NOT collected since ${new Date(sinceMs).toISOString()}: ${printable(`${code}: ${detail}`)}`;
}

function checkpointLines({ size, quorum, witnesses, cosigned }: CheckpointStatus): string[] {
  if (witnesses.length === 0) return [`checkpoints     ${size} entries, no witnesses`];
  const seen =
    cosigned === undefined
      ? 'none cosigned yet'
      : `${cosigned.size} cosigned by ${cosigned.by.map(({ name }) => name).join(', ') || 'none that is configured'}`;
  return [
    `checkpoints     ${size} entries, ${seen} (${quorum} needed)`,
    'witnesses',
    ...witnesses.map(({ name, cosignedSize, trouble }) => {
      const last = `cosigned ${cosignedSize ?? 'nothing yet'}`;
      return `  ${name}  ${last}${trouble ? `; ${trouble.code} (${trouble.attempts} tries): ${trouble.detail}` : ''}`;
    }),
  ];
}

function exportLine({ name, trouble, pending, lagMs, deadLetters }: ExporterStatus): string {
  const how = trouble
    ? `failing since ${new Date(trouble.sinceMs).toISOString()}: ${printable(`${trouble.code}: ${trouble.detail}`)}`
    : 'going';
  const dead = deadLetters > 0 ? `, ${deadLetters} dead letters` : '';
  const lag = pending > 0 ? `, ${pending} waiting for ${Math.round(lagMs / 1000)} s` : '';
  return `  ${name.padEnd(12)} ${how}${lag}${dead}`;
}

function publishedLag({
  name,
  logSize,
  publishedSize = 0,
  lagMs,
  trouble,
}: PublishStatus): IndexLag {
  const pending = logSize - publishedSize;
  return {
    name,
    pending,
    lagMs,
    ...(trouble && { trouble: `${trouble.code}: ${trouble.detail}` }),
  };
}

/** One line when all is well; else one for each log that is behind. */
function behindLines(what: string, logs: readonly IndexLag[]): string[] {
  const behind = logs.filter(({ pending, trouble }) => pending > 0 || trouble !== undefined);
  const title = what.padEnd(16);
  if (logs.length === 0) return [`${title}off`];
  if (behind.length === 0) return [`${title}up to date`];
  return behind.map(({ name, pending, lagMs, trouble }) => {
    const why = trouble === undefined ? '' : `; ${printable(trouble)}`;
    return `${title}${name}: ${pending} entries behind for ${Math.round(lagMs / 1000)} s${why}`;
  });
}

/** How a point or an issuer is. */
interface PointStatus {
  readonly name: string;
  readonly spiffeId: string;
  readonly connected: boolean;
  readonly logSize: number;
  /** Why its log is not being collected. */
  readonly refused?: CollectorRefusal;
  /** The version of the record's keys that it holds, as far as it said. */
  readonly recordKeys?: number;
  /** When its log was last shown; unknown since the authority started. */
  readonly heardAtMs?: number;
}

/** What `GET /v1/status` answers. */
export interface AuthorityStatus {
  readonly trustDomain: string;
  readonly bundleSequence: number;
  readonly policyVersion: string;
  readonly factSequence: number;
  readonly logSize: number;
  /** Where the state is, and since when it is away. */
  readonly storage: StorageStatus;
  readonly checkpoints: CheckpointStatus;
  readonly points: readonly PointStatus[];
  /** Those that issue tokens beside the authority. */
  readonly issuers: readonly PointStatus[];
  readonly exports: readonly ExporterStatus[];
  /** The version of the record's keys in force. */
  readonly recordKeys: number;
  /** How far what `find` asks is behind each log. */
  readonly index: readonly IndexLag[];
  /** Empty where logs are not published. */
  readonly published: readonly PublishStatus[];
  readonly federation: FederationStatus;
  /** Certificates of the bank's own at the authority's listeners. */
  readonly certificates: readonly ListenerCertificateStatus[];
  /** Identity providers, and whether people can sign in by them. */
  readonly identityProviders: readonly ProviderStanding[];
  /** The X.509, JWT and token authorities, and what comes next of their rotation. */
  readonly ca: CaStatus;
}

/** `countersign apply` */
export const applyCommand: Command = {
  name: 'apply',
  summary: 'make a running authority publish the repository as it is now',
  description:
    'The authority checks its repository again. With errors nothing changes and they are listed; without, it\nsigns a new bundle when the content differs, and every point takes it within moments.',
  options: {
    data: shared.data,
    json: shared.json,
    again: {
      type: 'boolean',
      help: 'publish also what is in force already: after a restore, until points take it',
    },
  },
  async run(args, io) {
    const path = `/v1/apply${args.flag('again') ? '?again=true' : ''}`;
    let result: Applied;
    try {
      result = await authorityOf(args, io).call<Applied>('POST', path);
    } catch (error) {
      const problems = problemsOf(error);
      if (!problems) throw error;
      print(
        io,
        args,
        { published: false, problems },
        [...problems.map(problemText), 'nothing was published'].join('\n'),
      );
      return EXIT.negative;
    }
    print(
      io,
      args,
      result,
      [
        `${result.published ? 'published' : 'policy unchanged'}: sequence ${result.sequence}, version ${result.version}`,
        // A new subject or reader changes no bundle: without a word on it, nothing seems to have been done.
        ...(result.published
          ? []
          : [
              'identities, partners, readers and retention are in force as the repository has them',
            ]),
        ...(result.restart.length > 0
          ? [
              `restart ${result.restart.join(', ')}: listeners, routes and the authority's settings are read at the start`,
            ]
          : []),
      ].join('\n'),
    );
    return EXIT.ok;
  },
};

/** The repository's problems, when that is why the authority refused. */
/** What the checks of the repository found, when that is why the authority said no. */
export function problemsOf(error: unknown): readonly Problem[] | undefined {
  if (!(error instanceof AdminRefusal) || error.status !== 422) return undefined;
  return (error.body as { problems?: readonly Problem[] } | undefined)?.problems;
}

/** `countersign join-token` */
export const joinTokenCommand: Command = {
  name: 'join-token',
  summary: 'make a one-time token with which a point or workload gets its first SVID',
  operands: '<subject>',
  operandsMax: 1,
  description:
    'The subject is a SPIFFE ID or its path, such as workload/payments/api; points are workload/countersign/<name>.\nThe token is printed once and is good for one enrolment.',
  options: {
    data: shared.data,
    json: shared.json,
    ttl: {
      type: 'string',
      value: 'SECONDS',
      help: 'how long it is good, up to a day (default 600)',
    },
  },
  examples: ['countersign join-token workload/countersign/edge > edge.token'],
  async run(args, io) {
    const [subject] = args.operands;
    if (!subject) throw new UsageError('found no subject, expected one');
    const ttlSeconds = wholeNumber(args, 'ttl', { min: 1, max: 86_400 }) ?? 600;
    const client = authorityOf(args, io);
    const spiffeId = subjectUri(subject, await trustDomainOf(client));
    const answer = await client
      .call<{ joinToken: string }>('POST', '/v1/join-tokens', { spiffeId, ttlSeconds })
      .catch((error: unknown) => {
        if (!(error instanceof AdminRefusal) || error.status !== 404) throw error;
        throw new CommandError(
          `${error.message}; points are workload/countersign/<name>, other subjects stand in identities/ of the repository that is applied`,
          { cause: error },
        );
      });
    print(io, args, answer, answer.joinToken);
    return EXIT.ok;
  },
};

const REVOCABLE = ['session', 'subject', 'token', 'certificate'] as const;

/** `countersign revoke` */
export const revokeCommand: Command = {
  name: 'revoke',
  summary: 'end a session, subject, token or certificate at once, open streams included',
  operands: '<session|subject|token|certificate> <value>',
  operandsMax: 2,
  description:
    'Takes effect at every enforcement point within moments: the next request is refused, open streams and\nconnections that stand on it are closed. --reinstate takes it back.',
  options: {
    data: shared.data,
    json: shared.json,
    reason: { type: 'string', value: 'TEXT', help: 'why; kept in the record (needed to revoke)' },
    reinstate: { type: 'boolean', help: 'take the revocation back' },
  },
  examples: ["countersign revoke subject partner/ledgerly --reason 'contract ended'"],
  async run(args, io) {
    const [target, value] = args.operands;
    if (!target || !(REVOCABLE as readonly string[]).includes(target) || !value) {
      const near = target && !value ? undefined : nearest(target ?? '', REVOCABLE);
      throw new UsageError(
        `found '${args.operands.join(' ')}', expected ${REVOCABLE.join('|')} and a value${near && near !== target ? `; did you mean '${near}'?` : ''}`,
      );
    }
    if (!args.flag('reinstate') && !args.text('reason')) {
      throw new UsageError('found no --reason, expected why it is revoked');
    }
    const client = authorityOf(args, io);
    const name = target === 'subject' ? subjectUri(value, await trustDomainOf(client)) : value;
    if (args.flag('reinstate')) {
      await client.call('DELETE', `/v1/revocations/${target}/${encodeURIComponent(name)}`);
      print(io, args, { reinstated: true, target, value: name }, `reinstated ${target} ${name}`);
      return EXIT.ok;
    }
    const reason = args.text('reason');
    await client.call('POST', '/v1/revocations', { target, value: name, reason });
    print(io, args, { revoked: true, target, value: name }, `revoked ${target} ${name}`);
    return EXIT.ok;
  },
};
