import { createLogPusher } from '@countersign/audit';
import { createCedarEngine } from '@countersign/cedar';
import { openReplica } from '@countersign/decision';
import { createEnforcementPoint } from '@countersign/enforcement';
import { ed25519NoteSigner, nodeDisk, openLog, verifierKey } from '@countersign/ledger';
import type { Clock } from '@countersign/model';
import { readPointConfig } from '@countersign/policy';
import { connectWorkload } from '@countersign/sdk';
import { followFeed } from '@countersign/state';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { readTrustFile } from '../trust-file.ts';
import { openPointKeys, publicBytes, publicJwk } from './point-keys.ts';
import { recordAlarm } from './record-alarm.ts';

const FIRST_BUNDLE_MS_MAX = 10_000;

/** What a point is started with. */
export interface RunPointOptions {
  readonly name: string;
  readonly kind: 'gateway' | 'sidecar' | 'wrap';
  readonly repositoryFolder: string;
  readonly dataRoot: string;
  readonly trustFile?: string;
  readonly joinToken?: string;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** An enforcement point that serves. */
export interface RunningPoint {
  readonly listeners: readonly {
    readonly name: string;
    readonly host: string;
    readonly port: number;
  }[];
  /** Rejects when the point cannot go on: its log failed. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}
