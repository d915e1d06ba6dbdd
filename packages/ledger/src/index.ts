export { nodeDisk } from './disk/node-disk.ts';
export { timestampChecker } from './evidence/check-timestamp.ts';
export type {
  Evidence,
  EvidenceCheck,
  EvidenceEntry,
  EvidenceReport,
} from './evidence/evidence.ts';
export { formatEvidence, parseEvidence } from './evidence/evidence-file.ts';
export { proveEntry } from './evidence/prove-entry.ts';
export { provePublishedEntry } from './evidence/prove-published-entry.ts';
export {
  type VerifiedEvidenceEntry,
  type VerifyEvidenceOptions,
  verifyEvidence,
} from './evidence/verify-evidence.ts';
export { LedgerError, type LedgerErrorCode, type LedgerLocation } from './ledger-error.ts';
export type {
  Log,
  LogDisk,
  LogEntries,
  LogFile,
  LogOptions,
  RemovableLogDisk,
} from './log.ts';
export { MerkleFrontier } from './merkle/frontier.ts';
export { leafHash, nodeHash } from './merkle/hash.ts';
export { logProofs, type ReadableLog } from './merkle/log-proofs.ts';
export { consistencyProof, inclusionProof, rootAt } from './merkle/make-proof.ts';
export { type HashSource, MerkleTree } from './merkle/tree.ts';
export {
  type InclusionClaim,
  type TreeHead,
  verifyConsistency,
  verifyInclusion,
} from './merkle/verify-proof.ts';
export {
  type Checkpoint,
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
} from './note/checkpoint.ts';
export type { CosignatureKind } from './note/cosigned-message.ts';
export { type CosignerKey, cosign, cosignerKey } from './note/cosigner.ts';
export {
  type CosignatureVerifier,
  type CosignerPublicKey,
  cosignatureVerifier,
  cosignerVerifierKey,
  parseCosignerKey,
} from './note/cosigner-key.ts';
export { ed25519NoteSigner } from './note/ed25519-note-signer.ts';
export {
  addSignatures,
  type NoteSignature,
  type OpenedNote,
  openNote,
  signNote,
} from './note/note.ts';
export {
  type NoteVerifier,
  parseVerifierKey,
  renameVerifierKey,
  verifierKey,
} from './note/verifier-key.ts';
export {
  type Cosignature,
  type CosignedCheckpoint,
  openCosignedCheckpoint,
  type WitnessPolicy,
  witnessPolicy,
} from './note/witness-policy.ts';
export type { NoteSigner } from './note-signer.ts';
export { openLog } from './open-log.ts';
export {
  type Mirror,
  type MirrorOptions,
  type MirrorOutcome,
  type MirrorRefusal,
  openMirror,
} from './open-mirror.ts';
export {
  formatLogProof,
  type LogProof,
  type LogProofClaim,
  parseLogProof,
  verifyLogProof,
} from './proof-file/log-proof.ts';
export { makeLogProof } from './proof-file/make-log-proof.ts';
export { proveKeptEntry } from './removal/prove-kept-entry.ts';
export { PROOFS_FOLDER, removedCheckpoint } from './removal/removal-mark.ts';
export {
  type RemovalProgress,
  type RemovedEntries,
  type RemoveEntriesOptions,
  removeEntries,
} from './removal/remove-entries.ts';
export { type RemovedLogReport, verifyRemovedLog } from './removal/verify-removed-log.ts';
export {
  type FramePlace,
  type StoredEntry,
  type StoredFrame,
  storedEntry,
  storedFrames,
  storedSize,
} from './segment/stored-frames.ts';
export { copyTiles } from './tiles/copy-tiles.ts';
export { decodeBundle, encodeBundle } from './tiles/entry-bundle.ts';
export type { FetchTile } from './tiles/fetch-tile.ts';
export { httpTiles } from './tiles/http-tiles.ts';
export { type PartialTiles, partialTiles } from './tiles/partial-tiles.ts';
export {
  type PublishOptions,
  type PublishOutcome,
  type PublishProgress,
  type PublishRefusal,
  publishTiles,
} from './tiles/publish-tiles.ts';
export type { PublishedPlace } from './tiles/published-prefix.ts';
export { tileFolder } from './tiles/tile-folder.ts';
export { bundlePath, tilePath } from './tiles/tile-path.ts';
export {
  openTilePublisher,
  type TilePublisher,
  type TilePublisherOptions,
} from './tiles/tile-publisher.ts';
export type { TileStore } from './tiles/tile-store.ts';
export { TileTree } from './tiles/tile-tree.ts';
export type {
  ProvenEntry,
  TilesProblem,
  TilesProblemCode,
  TilesReport,
} from './tiles/tiles-report.ts';
export { type VerifyTilesOptions, verifyTiles } from './tiles/verify-tiles.ts';
export type { LogProblem, LogProblemCode, LogReport, VerifiedEntry } from './verify/log-report.ts';
export { type VerifyLogOptions, verifiedEntries, verifyLog } from './verify/verify-log.ts';
export {
  ADD_CHECKPOINT_BYTES_MAX,
  type AddCheckpoint,
  decodeAddCheckpoint,
  encodeAddCheckpoint,
} from './witness/add-checkpoint.ts';
export {
  type AskWitnessOptions,
  type AskWitnessOutcome,
  askWitness,
  type ProveConsistency,
  type WitnessPost,
  type WitnessTroubleCode,
} from './witness/ask-witness.ts';
export { type HttpWitnessPostOptions, httpWitnessPost } from './witness/http-witness-post.ts';
export { openWitness } from './witness/open-witness.ts';
export type {
  Witness,
  WitnessAnswer,
  WitnessDisk,
  WitnessedLog,
  WitnessOptions,
  WitnessRefusal,
} from './witness/witness.ts';
export {
  createWitnessGroup,
  type WitnessGroup,
  type WitnessGroupOptions,
  type WitnessStatus,
  type WitnessTrouble,
} from './witness/witness-group.ts';
export { type WitnessHandlerOptions, witnessHandler } from './witness/witness-handler.ts';
export { createWitnessFolder } from './witness/witness-state.ts';
