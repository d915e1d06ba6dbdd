import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Collector, createCheckpointLog, type RollingLog } from '@countersign/audit';
import type { Identity, Keyring } from '@countersign/identity';
import {
  type Checkpoint,
  createWitnessGroup,
  httpWitnessPost,
  logProofs,
  nodeDisk,
  openCheckpoint,
  openCosignedCheckpoint,
  openLog,
  type ProveConsistency,
  parseCosignerKey,
  parseVerifierKey,
  tileFolder,
  verifierKey,
  verifyConsistency,
  type WitnessStatus,
  witnessPolicy,
} from '@countersign/ledger';
import type { Clock } from '@countersign/model';
import type { BankConfig } from '@countersign/policy';
import { createClosers } from '../../closers.ts';
import type { DataFolder } from '../../data-folder.ts';
import { collectedLogs } from './collected-logs.ts';
import { latestWriter } from './latest-writer.ts';
import type { Recorder } from './own-record.ts';
import { witnessAlarms } from './witness-alarms.ts';

/** Where the log of checkpoints and its witnesses stand. */
export interface CheckpointStatus {
  readonly origin: string;
  /** Entries: checkpoints of points' logs and of the authority's own. */
  readonly size: number;
  /** How many witnesses must cosign. */
  readonly quorum: number;
  readonly witnesses: readonly WitnessStatus[];
  /** The last checkpoint that enough of them cosigned. */
  readonly cosigned?: {
    readonly size: number;
    /** Who, and when they say that they did (seconds since the epoch). */
    readonly by: readonly { readonly name: string; readonly atSeconds: number }[];
    /** The signed note. */
    readonly note: string;
  };
}

/** The authority's log of checkpoints, being cosigned. */
export interface WitnessedCheckpoints {
  status(): CheckpointStatus;
  /** Entries of the log of checkpoints, and its key in C2SP's form. */
  log(): { readonly size: number; readonly verifierKey: string };
  close(): Promise<void>;
}

/** What it is made of. */
export interface WitnessCheckpointsOptions {
  readonly folder: DataFolder;
  readonly config: BankConfig;
  readonly keyring: Keyring;
  readonly identity: Identity;
  readonly collector: Collector;
  /** The authority's own log, whose checkpoints are entered too. */
  readonly ownLog: Pick<RollingLog, 'shards'>;
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/**
 * Keeps one log of the checkpoints of all points' logs and of the authority's own, and has it cosigned by the configured
 * witnesses. What is wrong with them is an alarm; nothing that serves points waits for any of it.
 */
export async function witnessCheckpoints(
  options: WitnessCheckpointsOptions,
): Promise<WitnessedCheckpoints> {
  const { folder, config, keyring, identity, collector, ownLog, record, now, warn } = options;
  // No point can have this origin: its name has no slash.
  const origin = `${config.trustDomain}/authority/checkpoints`;
  const signer = { name: origin, ...keyring.log };
  const key = verifierKey(origin, signer.publicKey);
  const verifiers = [parseVerifierKey(key)];
  const { witnesses, witnessQuorum: quorum } = config.authority;
  const policy = witnessPolicy({
    quorum,
    verifiers: witnesses.flatMap(({ verifierKeys }) => verifierKeys.map(parseCosignerKey)),
  });
  const alarms = witnessAlarms({ record, warn });
  const closers = createClosers();
  const log = await openLog({ origin, signer, disk: nodeDisk(folder.checkpointLog), now });
  const { read } = tileFolder(join(folder.published, 'checkpoints'));
  const proofs = logProofs(log, { published: { read, verifiers } });

  await mkdir(folder.cosigned, { recursive: true, mode: 0o700 });
  let cosigned = await readCosigned(join(folder.cosigned, 'checkpoint'));
  const disk = nodeDisk(folder.cosigned);
  const writer = latestWriter<string>({
    write: (note) => disk.replace('checkpoint', Buffer.from(note)),
    onError: (error) => warn(`cannot keep the cosigned checkpoint: ${error.message}`),
  });
  if (cosigned !== undefined) {
    const head = openCheckpoint(log.checkpoint(), verifiers);
    try {
      const from = openCheckpoint(cosigned, verifiers);
      // Beside the start: a long log takes a while to be proved.
      requireContinued(from, head, proofs.consistency).catch((error: Error) =>
        alarms.rollback(error.message),
      );
    } catch (error) {
      // Not this log's, or damaged: not shown as if it were good.
      alarms.rollback(`the cosigned checkpoint that was kept: ${(error as Error).message}`);
      cosigned = undefined;
    }
  }

  const { post, close: closePost } = httpWitnessPost();
  closers.add(closePost);
  const group =
    witnesses.length > 0
      ? createWitnessGroup({
          log: verifiers,
          policy,
          urls: new Map(witnesses.map(({ name, url }) => [name, url])),
          prove: proofs.consistency,
          ...{ post, now, onTrouble: alarms.trouble },
          onCosigned: (note) => {
            cosigned = note;
            writer.put(note);
          },
        })
      : undefined;
  const checkpoints = createCheckpointLog({
    log,
    checkpoints: async () => {
      const collected = collectedLogs(collector, identity);
      const mirrored = await Promise.all(collected.map(({ name }) => collector.checkpoint(name)));
      const own = ownLog.shards().flatMap(({ log: shard }) => {
        return shard.size > 0 ? [shard.checkpoint()] : [];
      });
      return [...mirrored.filter((note) => note !== undefined), ...own];
    },
    onCheckpoint: (note) => group?.submit(note),
    onFailure: (error) => alarms.failure(error instanceof Error ? error.message : String(error)),
  });
  closers.add(() => writer.close());
  closers.add(() => checkpoints.close().catch(() => undefined));
  closers.add(() => group?.close());
  if (log.size > 0) group?.submit(log.checkpoint());

  return {
    log: () => ({ size: log.size, verifierKey: key }),
    status() {
      const status = { origin, size: log.size, quorum, witnesses: group?.status() ?? [] };
      if (cosigned === undefined) return status;
      // A witness that was taken out of the configuration is not shown.
      const { size, cosignatures } = openCosignedCheckpoint(cosigned, {
        log: verifiers,
        policy: { ...policy, quorum: 0 },
      });
      return { ...status, cosigned: { size, by: cosignatures, note: cosigned } };
    },
    close: closers.closeAll,
  };
}

/** The log still holds the tree that witnesses have cosigned, or this rejects. */
async function requireContinued(
  from: Checkpoint,
  to: Checkpoint,
  prove: ProveConsistency,
): Promise<void> {
  if (from.size > to.size) {
    throw new Error(
      `found ${to.size} checkpoints, expected the ${from.size} that witnesses cosigned`,
    );
  }
  verifyConsistency(await prove(from.size, to.size), { from, to });
}

async function readCosigned(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}
