import type { CollectorRefusal, ExporterStatus, PublishStatus } from '@countersign/audit';
import type { ProviderStanding } from '@countersign/identity';
import { fileFaultText } from '../authority/login-providers.ts';
import type { IndexLag } from '../authority/record/index-lags.ts';
import type { CheckpointStatus } from '../authority/record/witness-checkpoints.ts';
import { type StorageStatus, storageText } from '../authority/state/storage-status.ts';
import type { Command } from '../command-line/command.ts';
import { EXIT } from '../command-line/command.ts';
import type { FederationStatus } from '../federation/federation-routes.ts';
import { federationLines, isFederationWell } from '../federation/federation-text.ts';
import type { ListenerCertificateStatus } from '../listener-certificate/listener-certificates.ts';
import { printable } from '../record/printable.ts';
import { type CaStatus, nextText, timeOf } from './ca.ts';
import { authorityOf, print, shared } from './options.ts';

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
      `  ${point.name.padEnd(12)} ${point.connected ? 'connected' : 'away     '}  log ${point.logSize} entries${heardText(point)}${refusedText(point.refused)}${(point.recordKeys ?? status.recordKeys) < status.recordKeys ? ', holds older keys of the record: made or destroyed ones did not come yet' : ''}`;
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
