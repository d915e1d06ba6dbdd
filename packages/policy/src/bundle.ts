import type { Surface } from '@countersign/model';
import type { PointConfig, ShardConfig } from './repository.ts';

/** What a decision point loads: surfaces, policies and schema, all of one version. */
export interface PolicyBundle {
  readonly trustDomain: string;
  /** Rises by one with each publication; a decision point takes no lower one than it has had. */
  readonly sequence: number;
  /** SHA-256 (base64url) of the canonical content: the version that decisions name. */
  readonly version: string;
  readonly createdAtMs: number;
  readonly surfaces: readonly Surface[];
  /** Where each enforcement point listens and what it routes, so that a point needs no file of the bank's. */
  readonly points: readonly PointConfig[];
  /** How the points' logs are divided; absent in bundles that older authorities signed. */
  readonly record?: ShardConfig;
  readonly policies: readonly {
    readonly id: string;
    readonly text: string;
    readonly file: string;
  }[];
  /** Cedar schema, text form: generated from the surfaces and extended by hand. */
  readonly schema: string;
}
