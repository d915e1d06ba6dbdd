import { join } from 'node:path';
import { logOfShard, parseShardName, shardFolder } from '@countersign/audit';

/** Where things lie in a data folder; ARCHITECTURE.md, "On disk". */
export interface DataFolder {
  readonly root: string;
  readonly trustFile: string;
  readonly trustPemFile: string;
  readonly stateFile: string;
  /** Says where the state is, when that is a PostgreSQL. */
  readonly storageFile: string;
  readonly keysFolder: string;
  readonly passphraseFile: string;
  readonly authorityLog: string;
  readonly mirrors: string;
  /** Logs that were published to be read over the operator's socket. */
  readonly published: string;
  /** The authority's log of all logs' checkpoints. */
  readonly checkpointLog: string;
  /** Holds `checkpoint`: the last one of that log that enough witnesses cosigned. */
  readonly cosigned: string;
  readonly adminSocket: string;
  readonly riskSnapshot: string;
  /** Of `countersign node`: its SVID, and where processes and the operator reach it. */
  readonly nodeSvid: string;
  readonly nodeSocket: string;
  readonly nodeAdminSocket: string;
  readonly witness: WitnessFolder;
  /** One folder for each export, with its cursor and dead letters. */
  readonly exports: string;
  /** Where the indexes of logs are; made again from the logs when it is gone. */
  readonly recordIndex: string;
  /** The authority's copy of a point's log. */
  mirror(name: string): string;
  /** Of a point, by its name or that of a shard of its log. */
  point(name: string): PointFolder;
  /** A shard of the authority's own log: `authority`, `authority@2027q1`. */
  ownLog(name: string): string;
}

/** The part of a witness. */
export interface WitnessFolder {
  /** What it cosigned. */
  readonly folder: string;
  readonly keyFile: string;
}

/** The part of one enforcement point. */
export interface PointFolder {
  /** Of the shard that was named. */
  readonly log: string;
  /** Of a command that asks the shard where no authority runs. */
  readonly index: string;
  readonly keys: string;
  readonly svid: string;
  readonly replica: string;
}

/** Where the index of one log is kept. */
export function indexFolderOf({ recordIndex }: DataFolder, name: string): string {
  return join(recordIndex, name);
}

/** Names the parts of the data folder at `root`, an absolute path; makes nothing. */
export function dataFolder(root: string): DataFolder {
  const authority = join(root, 'authority');
  return {
    root,
    trustFile: join(root, 'trust.json'),
    trustPemFile: join(root, 'trust.pem'),
    stateFile: join(authority, 'state.db'),
    storageFile: join(authority, 'storage.json'),
    keysFolder: join(authority, 'keys'),
    passphraseFile: join(authority, 'passphrase'),
    authorityLog: join(authority, 'log'),
    mirrors: join(authority, 'logs'),
    published: join(authority, 'published'),
    checkpointLog: join(authority, 'checkpoints'),
    cosigned: join(authority, 'cosigned'),
    adminSocket: join(authority, 'admin.sock'),
    riskSnapshot: join(authority, 'risk.json'),
    nodeSvid: join(root, 'node', 'svid'),
    nodeSocket: join(root, 'node', 'workload.sock'),
    nodeAdminSocket: join(root, 'node', 'admin.sock'),
    witness: { folder: join(root, 'witness'), keyFile: join(root, 'witness', 'key.pem') },
    exports: join(authority, 'exports'),
    recordIndex: join(authority, 'index'),
    mirror: (name) => join(authority, 'logs', name),
    ownLog: (name) => shardFolder(join(authority, 'log'), parseShardName(name)?.period),
    point: (name) => {
      const folder = join(root, 'points', logOfShard(name));
      return {
        log: shardFolder(join(folder, 'log'), parseShardName(name)?.period),
        index: shardFolder(join(folder, 'index'), parseShardName(name)?.period),
        keys: join(folder, 'keys'),
        svid: join(folder, 'svid'),
        replica: join(folder, 'replica'),
      };
    },
  };
}
