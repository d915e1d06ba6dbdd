import { LedgerError } from '../ledger-error.ts';
import { EMPTY_ROOT, toHashBytes } from '../merkle/hash.ts';
import { verifyConsistency } from '../merkle/verify-proof.ts';
import { type Checkpoint, openCheckpoint, parseCheckpoint } from '../note/checkpoint.ts';
import { type CosignerKey, cosign } from '../note/cosigner.ts';
import { addSignatures, signatureLinesOf, unverifiedText } from '../note/note.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { type AddCheckpoint, decodeAddCheckpoint } from './add-checkpoint.ts';
import type {
  Witness,
  WitnessAnswer,
  WitnessDisk,
  WitnessOptions,
  WitnessRefusal,
} from './witness.ts';
import {
  type Cosigned,
  originHash,
  readCosigned,
  requireWitnessFolder,
  writeCosigned,
} from './witness-state.ts';

/** Requests that wait for their turn at one log; each holds at most 72 KiB. */
const WAITING_MAX = 64;

/**
 * Opens a witness in its folder (see `createWitnessFolder`), for one process.
 *
 * A request is held against the last checkpoint cosigned of its log, signed, written to disk and only then answered;
 * requests for one log take turns. A disk that fails once ends the witness: after a failed fsync nobody knows
 * what is on disk, and a signature that outlives the memory of it is what a witness must not give.
 *
 * @throws {LedgerError} `ERR_LEDGER_LOCKED`, `ERR_LEDGER_KEY_MISMATCH` when the folder is not of these keys,
 *   `ERR_LEDGER_CORRUPT` naming the file, `ERR_LEDGER_OPTION` for no keys, keys of several names, or a log named twice
 * @see C2SP tlog-witness v1.0.0
 */
export async function openWitness(options: WitnessOptions): Promise<Witness> {
  const { disk, keys, logs } = options;
  const [first] = keys;
  if (first === undefined || keys.some(({ name }) => name !== first.name)) {
    refuseOption('found no keys or keys of several names, expected keys of one name');
  }
  const unlock = await disk.lock();
  try {
    await requireWitnessFolder(disk, keys);
    const watched = new Map<string, Watched>();
    for (const { origin, verifiers } of logs) {
      if (watched.has(origin)) refuseOption(`found the log '${origin}' twice`);
      if (verifiers.length === 0) refuseOption(`found no key of the log '${origin}'`);
      const cosigned = await readCosigned(disk, { origin, verifiers }, keys);
      watched.set(origin, { verifiers, cosigned, turn: Promise.resolve(), waiting: 0 });
    }
    return new FolderWitness(first.name, { ...options, watched, unlock });
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** A log and what was cosigned of it; owned by the one request whose turn it is. */
interface Watched {
  readonly verifiers: readonly NoteVerifier[];
  cosigned: Cosigned | undefined;
  /** Resolves when the last request that waits is done. */
  turn: Promise<unknown>;
  waiting: number;
}

class FolderWitness implements Witness {
  readonly name: string;
  readonly #disk: WitnessDisk;
  readonly #keys: readonly CosignerKey[];
  readonly #now: () => number;
  readonly #watched: ReadonlyMap<string, Watched>;
  readonly #originOfHash: ReadonlyMap<string, string>;
  readonly #unlock: () => Promise<void>;
  #failure: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    name: string,
    parts: WitnessOptions & { watched: Map<string, Watched>; unlock: () => Promise<void> },
  ) {
    this.name = name;
    this.#disk = parts.disk;
    this.#keys = parts.keys;
    this.#now = parts.now;
    this.#watched = parts.watched;
    this.#originOfHash = new Map([...parts.watched.keys()].map((each) => [originHash(each), each]));
    this.#unlock = parts.unlock;
  }

  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    if (this.#closing !== undefined) {
      throw new LedgerError('ERR_LEDGER_CLOSED', 'could not cosign: found the witness closed');
    }
    let request: AddCheckpoint;
    let shown: Checkpoint;
    try {
      request = decodeAddCheckpoint(body);
      shown = parseCheckpoint(unverifiedText(request.checkpoint));
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      return { kind: 'refused', code: 'malformed', detail: error.message };
    }
    const log = this.#watched.get(shown.origin);
    if (log === undefined) {
      return refuse(shown, 'unknown-log', `found the log '${shown.origin}', which is not watched`);
    }
    try {
      openCheckpoint(request.checkpoint, log.verifiers);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      return refuse(shown, 'signature', error.message);
    }
    if (request.oldSize > shown.size) {
      const found = `found old size ${request.oldSize}, expected at most the checkpoint's ${shown.size}`;
      return refuse(shown, 'malformed', found);
    }
    return this.#inTurn(log, shown, () => this.#cosign(log, request, shown));
  }

  checkpoint(origin: string): string | undefined {
    return this.#watched.get(origin)?.cosigned?.note;
  }

  checkpointByHash(hash: string): string | undefined {
    const origin = this.#originOfHash.get(hash);
    return origin === undefined ? undefined : this.checkpoint(origin);
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#watched.values()].map(({ turn }) => turn)).then(() =>
      this.#unlock(),
    );
    return this.#closing;
  }

  async #inTurn(
    log: Watched,
    shown: Checkpoint,
    action: () => Promise<WitnessAnswer>,
  ): Promise<WitnessAnswer> {
    if (log.waiting === WAITING_MAX) {
      return refuse(shown, 'busy', `found ${WAITING_MAX} requests for this log waiting`);
    }
    log.waiting++;
    const answer = log.turn.then(action).finally(() => log.waiting--);
    log.turn = answer.catch(() => undefined);
    return answer;
  }

  async #cosign(log: Watched, request: AddCheckpoint, shown: Checkpoint): Promise<WitnessAnswer> {
    if (this.#failure !== undefined) return refuse(shown, 'failed', this.#failure);
    const { cosigned } = log;
    const refusal = compare(request, shown, cosigned);
    if (refusal !== undefined) return refusal;
    let lines: string[];
    try {
      lines = await this.#sign(unverifiedText(request.checkpoint));
    } catch (error) {
      return refuse(shown, 'unavailable', `found a failing signer: ${messageOf(error)}`);
    }
    // Only what a key signed that is known here: whoever asks must not fill the disk.
    const note = addSignatures(
      `${unverifiedText(request.checkpoint)}\n${signatureLinesOf(request.checkpoint, log.verifiers).join('')}`,
      lines,
    );
    const next = { ...shown, note };
    try {
      await writeCosigned(this.#disk, next);
    } catch (error) {
      this.#failure = `found a failing disk: ${messageOf(error)}`;
      return refuse(shown, 'failed', this.#failure);
    }
    // INVARIANT: the checkpoint is durable before its cosignature is seen outside.
    log.cosigned = next;
    const { origin, size } = shown;
    const oldSize = cosigned?.size ?? 0;
    return { kind: 'cosigned', origin, size, oldSize, lines: lines.join('') };
  }

  async #sign(text: string): Promise<string[]> {
    const atSeconds = Math.floor(this.#now() / 1000);
    return Promise.all(this.#keys.map((key) => cosign(text, { key, atSeconds })));
  }
}

/** C2SP tlog-witness, "add-checkpoint": what is wrong with a signed checkpoint, in the order of the text. */
function compare(
  { oldSize, proof, checkpoint }: AddCheckpoint,
  shown: Checkpoint,
  cosigned: Cosigned | undefined,
): WitnessAnswer | undefined {
  const isFork = cosigned?.size === shown.size && Buffer.compare(cosigned.root, shown.root) !== 0;
  const fork = isFork ? { fork: checkpoint } : {};
  const cosignedSize = cosigned?.size ?? 0;
  if (oldSize !== cosignedSize) {
    const found = `found old size ${oldSize}, expected ${cosignedSize}`;
    return { ...refuse(shown, 'conflict', found), cosignedSize, ...fork };
  }
  const from = { size: oldSize, root: cosigned?.root ?? toHashBytes(EMPTY_ROOT) };
  try {
    if (shown.size === 0) verifyConsistency([], { from: shown, to: emptyTree });
    verifyConsistency(proof, { from, to: shown });
    return undefined;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return { ...refuse(shown, 'inconsistent', error.message), ...fork };
  }
}

const emptyTree = { size: 0, root: toHashBytes(EMPTY_ROOT) };

type Refused = Extract<WitnessAnswer, { kind: 'refused' }>;

function refuse({ origin, size }: Checkpoint, code: WitnessRefusal, detail: string): Refused {
  return { kind: 'refused', code, detail, origin, size };
}

function refuseOption(found: string): never {
  throw new LedgerError('ERR_LEDGER_OPTION', `could not open witness: ${found}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
