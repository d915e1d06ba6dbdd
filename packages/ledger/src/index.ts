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
export {
  type ProvenEntry,
  type VerifyEvidenceOptions,
  verifyEvidence,
} from './evidence/verify-evidence.ts';
export { LedgerError, type LedgerErrorCode, type LedgerLocation } from './ledger-error.ts';
export type { Log, LogDisk, LogEntries, LogFile, LogOptions } from './log.ts';
export { MerkleFrontier } from './merkle/frontier.ts';
export { leafHash, nodeHash } from './merkle/hash.ts';
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
export { ed25519NoteSigner } from './note/ed25519-note-signer.ts';
export { type OpenedNote, openNote, signNote } from './note/note.ts';
export { type NoteVerifier, parseVerifierKey, verifierKey } from './note/verifier-key.ts';
export type { NoteSigner } from './note-signer.ts';
export { openLog } from './open-log.ts';
export {
  type Mirror,
  type MirrorOptions,
  type MirrorOutcome,
  type MirrorRefusal,
  openMirror,
} from './open-mirror.ts';
export type { LogProblem, LogProblemCode, LogReport, VerifiedEntry } from './verify/log-report.ts';
export { type VerifyLogOptions, verifiedEntries, verifyLog } from './verify/verify-log.ts';
