import type { LogDisk } from '../log.ts';
import type { CosignerKey } from '../note/cosigner.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';

/** What a witness needs of a disk: a folder's lock, and small files replaced durably. */
export type WitnessDisk = Pick<LogDisk, 'lock' | 'list' | 'read' | 'replace'>;

/** A log that a witness watches. */
export interface WitnessedLog {
  /** The first line of its checkpoints. */
  readonly origin: string;
  /** Its keys, one of which must have signed; their name is mostly the origin, but need not be. */
  readonly verifiers: readonly NoteVerifier[];
}

/** What a witness is made of. */
export interface WitnessOptions {
  readonly disk: WitnessDisk;
  /** All under one name. Each signs every cosigned checkpoint. */
  readonly keys: readonly CosignerKey[];
  readonly logs: readonly WitnessedLog[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Why a witness did not cosign. */
export type WitnessRefusal =
  /** The request is none, or the old size is beyond the checkpoint's. */
  | 'malformed'
  /** No log of this origin is watched. */
  | 'unknown-log'
  /** No key of the log signed, or one of its signatures is wrong. */
  | 'signature'
  /** The old size is not that of the last checkpoint cosigned. */
  | 'conflict'
  /** The checkpoint does not continue the one that was cosigned. */
  | 'inconsistent'
  /** Too many requests for this log wait. */
  | 'busy'
  /** The signer gave no signature; nothing has changed. */
  | 'unavailable'
  /** The disk failed; nothing is cosigned any more until the witness is opened anew. */
  | 'failed';

/** A checkpoint was cosigned, or it was not and nothing has changed. */
export type WitnessAnswer =
  | {
      readonly kind: 'cosigned';
      readonly origin: string;
      readonly size: number;
      /** The size cosigned before; 0 for the first. */
      readonly oldSize: number;
      /** One signature line for each key, each with its newline. */
      readonly lines: string;
    }
  | {
      readonly kind: 'refused';
      readonly code: WitnessRefusal;
      readonly detail: string;
      /** Absent where the request was too malformed to tell. */
      readonly origin?: string;
      /** The size of the checkpoint that was shown. */
      readonly size?: number;
      /** For `conflict`: the size of the last checkpoint cosigned. */
      readonly cosignedSize?: number;
      /**
       * The checkpoint that was shown, where the log signed it and it has the size but not the root of the one cosigned:
       * with that one, a proof that the log has two histories.
       */
      readonly fork?: string;
    };

/**
 * Sees to it that a log has one history: it cosigns a checkpoint only when it continues the last one that it cosigned
 * of the same log.
 */
export interface Witness {
  readonly name: string;
  /**
   * Takes the body of `add-checkpoint`. The new state is durable before the promise resolves to `cosigned`; of two
   * requests for one log the second is held against what the first left.
   *
   * @throws {LedgerError} `ERR_LEDGER_CLOSED`
   */
  addCheckpoint(body: Uint8Array): Promise<WitnessAnswer>;
  /** The last checkpoint cosigned of a log, with the signatures of log and witness; nothing before the first. */
  checkpoint(origin: string): string | undefined;
  /** As {@link checkpoint}, of the log whose origin has this SHA-256 (64 lower-case hexadecimal digits). */
  checkpointByHash(originHash: string): string | undefined;
  /** Waits for what is being cosigned, then gives up the lock. */
  close(): Promise<void>;
}
